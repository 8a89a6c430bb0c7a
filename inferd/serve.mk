# The server: completions of many agents in turn.
libinferd_a_SOURCES += \
	inferd/agent.c inferd/agent.h \
	inferd/api.h \
	inferd/completion.c inferd/completion.h inferd/completion_int.h \
	inferd/completion_force.c inferd/completion_grammar.c \
	inferd/asked.c inferd/asked.h \
	inferd/engine.c inferd/engine.h \
	inferd/engine_post.c inferd/engine_post.h \
	inferd/gen.h \
	inferd/guess.c inferd/guess.h \
	inferd/ledger.c inferd/ledger.h \
	inferd/again.c inferd/again.h \
	inferd/record.c inferd/record.h \
	inferd/sched.c inferd/sched.h \
	inferd/stream.c inferd/stream.h \
	inferd/worker.c inferd/worker.h inferd/worker_int.h \
	inferd/worker_draft.c inferd/worker_guess.c inferd/worker_kv.c

libinferd_a_SOURCES += inferd/confine.c inferd/confine.h
