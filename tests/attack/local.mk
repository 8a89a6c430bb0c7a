# Attack cases; README.md there says what each number is.
noinst_PROGRAMS += tests/attack/brig-probe
tests_attack_brig_probe_SOURCES = tests/attack/probe.c
tests_attack_brig_probe_LDADD = libbase.a
# Static and not position-independent is fine: it runs from a workspace.
tests_attack_brig_probe_LDFLAGS = $(BRIG_STATIC)

ATTACK_LIST = tests/attack/surfaces.sh tests/attack/swap.sh tests/attack/forms.sh \
	tests/attack/host.sh tests/attack/protocols.sh \
	tests/attack/network.sh tests/attack/names.sh tests/attack/sockets.sh \
	tests/attack/files.sh tests/attack/hooks.sh tests/attack/rename.sh \
	tests/attack/staged.sh \
	tests/attack/floods.sh \
	tests/attack/syscalls.sh \
	tests/attack/edges.sh \
	tests/attack/processes.sh tests/attack/record.sh \
	tests/attack/raw.sh \
	tests/attack/rogue.sh tests/attack/refused.sh tests/attack/asks.sh tests/attack/abuse.sh
TESTS += $(ATTACK_LIST)
EXTRA_DIST += $(ATTACK_LIST) tests/attack/lib.sh tests/attack/README.md \
	tests/attack/rogue_origin.py tests/attack/rogue_101.py \
	tests/attack/rogue_h2.py \
	tests/attack/front_abuse.py \
	tests/attack/start.py tests/attack/terminal.py tests/attack/flood.py \
	tests/attack/flood_all.py
