# The server: completions of many agents in turn.
libinferd_a_SOURCES += \
	inferd/agent.c inferd/agent.h \
	inferd/api.h \
	inferd/completion.h \
	inferd/engine.h \
	inferd/gen.h \
	inferd/grammar.h \
	inferd/sched.c inferd/sched.h
