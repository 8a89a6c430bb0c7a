# Real agents against the local engine: needs npm, and a network once.
EXTRA_DIST += tests/agents/check-agents.sh tests/agents/relay.py

check-agents: all
	@BRIG_SRCDIR='$(abs_top_srcdir)' BRIG_BUILDDIR='$(abs_top_builddir)' \
		sh $(top_srcdir)/tests/agents/check-agents.sh

.PHONY: check-agents
