# policy/: the policy language, a pure library.
noinst_LIBRARIES += libpolicy.a
libpolicy_a_CFLAGS = $(AM_CFLAGS) $(BRIG_STRICT)
libpolicy_a_SOURCES = \
	policy/policy.h policy/internal.h \
	policy/args.c \
	policy/diag.c \
	policy/eval.c \
	policy/exec.c \
	policy/expand.c \
	policy/explain.c \
	policy/host.c \
	policy/lex.c \
	policy/lint.c \
	policy/load.c \
	policy/model.c \
	policy/net.c policy/netname.c \
	policy/parse.c \
	policy/pathpat.c \
	policy/pool.c \
	policy/profile.c \
	policy/rule.c \
	policy/set_sandbox.c \
	policy/settings.c \
	policy/testblock.c \
	policy/url.c

# What reads policy files: the loader is brigd's too.
noinst_LIBRARIES += libpolicyfiles.a libcmdpolicy.a
libpolicyfiles_a_SOURCES = daemon/policyfiles.c daemon/policyfiles.h
libcmdpolicy_a_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libcmdpolicy_a_SOURCES = daemon/cmd_policy.c daemon/cli.h

dist_man5_MANS += man/brig.policy.5
