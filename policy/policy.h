/*
 * The policy language: bytes in, compiled policy out; request in, decision
 * out.  A pure library: no sockets, files, clock or globals.  Its answer
 * counts where it runs next to the power it guards (back, keyd, shim);
 * anywhere else (brig policy test/explain) it is the same function, asked for
 * advice.
 *
 * Inside a layer deny > ask > allow, order and specificity irrelevant; when
 * nothing matches, the class default of the profile, which is deny if unset.
 */
#ifndef BRIG_POLICY_H
#define BRIG_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/error.h"

enum effect {
	EFFECT_DENY, /* 0: fails closed */
	EFFECT_ASK,
	EFFECT_ALLOW,
};

enum policy_class {
	POLICY_EXEC,
	POLICY_READ,
	POLICY_WRITE,
	POLICY_HTTP,
	POLICY_NET,
	POLICY_MODEL,
	POLICY_CLASSES
};

const char *effect_name(enum effect e);             /* "deny" ... */
const char *policy_class_name(enum policy_class c); /* "exec" ... */

/* ---- sources and errors ------------------------------------------------ */

#define POLICY_FILE_MAX (1024u * 1024) /* bytes of one file */
#define POLICY_DEPTH_MAX 16u           /* block nesting */
#define POLICY_TOKEN_MAX 4096u
#define POLICY_ERRORS_MAX 50u /* reporting stops after these */
#define POLICY_BUNDLE_MAX (8u * 1024 * 1024)
#define POLICY_INCLUDE_DEPTH_MAX 4u

struct policy_source {
	const char *name; /* file name as shown in errors and records,
			   * e.g. "coding.policy" */
	const void *bytes;
	size_t len;
	bool root; /* false: only reachable through include */
};

struct policy_diag {
	char file[64];
	unsigned int line, col; /* from 1; col counts bytes */
	char text[256];         /* "expected an effect, found \"alow\" (did you
				 * mean \"allow\"?)" */
	char source[256];       /* the line itself, control bytes escaped,
				 * tabs as one space */
	unsigned int caret;     /* column of the caret in source, from 0 */
};

struct policy_diags {
	struct policy_diag *d; /* n entries, malloc'ed */
	size_t n;
};

void policy_diags_free(struct policy_diags *ds);
/* "file:line:col: text\n  source\n  ^\n" for all of them, appended to b. */
void policy_diags_print(const struct policy_diags *ds, struct buf *b);

/* ---- loading ----------------------------------------------------------- */

struct policy;

/*
 * Parse, check, compile and run the embedded tests.  `include "x"` names
 * another source by its name.  NULL if anything is wrong, with every mistake
 * found in ds (at least one).  A failing test is a mistake like any other.
 */
struct policy *policy_load(
    const struct policy_source *srcs, size_t n, struct policy_diags *ds);
void policy_free(struct policy *p);

/*
 * A bundle is how sources travel between processes (M_POLICY):
 * u32 n, n * (str name, u8 root, blob bytes).
 */
int policy_bundle_write(
    struct buf *b, const struct policy_source *srcs, size_t n);
/* Load straight from a bundle; NULL and ds as policy_load(). */
struct policy *policy_bundle_load(
    const void *p, size_t n, struct policy_diags *ds);

/* Lower-case hex SHA-256 would need a crypto library: FNV-1a 64 of the
 * sources, as 16 hex digits, to tell generations apart in records. */
const char *policy_fingerprint(const struct policy *p);

/* ---- profiles and settings --------------------------------------------- */

struct profile; /* borrowed from the policy */

const struct profile *policy_profile(const struct policy *p, const char *name);
size_t policy_profiles(const struct policy *p);
const struct profile *policy_profile_at(const struct policy *p, size_t i);
const char *profile_name(const struct profile *pr);
enum effect profile_default(const struct profile *pr, enum policy_class c);

#define POLICY_TREES_MAX 32u
#define POLICY_VARIABLES_MAX 32u
#define CPU_PERCENT_MAX 100000u
#define CPU_WEIGHT_MAX 10000u

enum seccomp_level { /* sandbox seccomp ... */
	SECCOMP_LEVEL_DEFAULT,
	SECCOMP_LEVEL_STRICT, /* no more than builds and interpreters need */
	SECCOMP_LEVEL_NESTED, /* default, and a user namespace of the job's
			       * own for agents that bring a sandbox */
};

/* What a number's 0 means is in brackets; strings and lists are borrowed. */
struct profile_settings {
	bool workspace_exec;   /* sandbox workspace exec yes|no; default yes */
	bool workspace_staged; /* sandbox workspace direct|staged; default
				* direct.  Staged: what the job writes goes to
				* an overlay until brig apply */
	bool memfd_exec;       /* sandbox memfd-exec yes|no; default no */
	bool tmp_exec;         /* sandbox tmp exec|noexec; default exec */
	bool trace;            /* sandbox trace on|off; default on */
	bool protect;          /* sandbox protect yes|no; default yes: files
				* that host programs act on (git hooks, agent
				* configuration ...) cannot be written */
	enum seccomp_level seccomp; /* sandbox seccomp default|strict|nested */
	const char *home_keep;      /* sandbox home fresh|keep NAME: a home that
				     * outlives the job; NULL: a fresh tmpfs */
	const char *root;           /* sandbox root PATH: folder, tar archive or
				     * squashfs image in the place of the host's
				     * /usr; NULL: the host's */
	const char *const *trees;   /* sandbox tree PATH: more read-only folders
				     * of the host, at the same place; ntrees */
	size_t ntrees;
	const char *const *variables; /* sandbox variable NAME: risky ones that
				       * are let be; nvariables */
	size_t nvariables;
	bool ask_unattended_deny; /* ask unattended deny */
	uint32_t ask_timeout_s;   /* ask timeout DUR then deny; default 300 */
	uint32_t wall_s;          /* limit wall DUR [none] */
	uint32_t procs;           /* limit procs N, processes and threads of
				   * the job [none] */
	uint64_t memory;          /* limit memory SIZE, of the whole job in
				   * bytes [none] */
	uint64_t swap;            /* limit swap SIZE, beyond memory [no swap
				   * if memory is limited] */
	uint32_t cpu_percent;     /* limit cpu N%, of one processor [none] */
	uint32_t cpu_weight;      /* limit cpu-weight 1..10000 [100] */
	uint64_t io;              /* limit io SIZE, bytes a second read and
				   * written each [none] */
	uint64_t disk;            /* limit disk SIZE of each of staged
				   * workspace, home and tmp [1G for tmpfs] */
	uint32_t inodes;          /* limit inodes N of each of the same [1M] */
	uint32_t files;           /* limit files N open per process [65536] */
	uint64_t output; /* limit output SIZE of the log; default 64M */
};
const struct profile_settings *profile_settings(const struct profile *pr);

/*
 * Names that exec rules use, and the files each stands for: from `program`,
 * else the fixed secure path (/usr/local/bin /usr/bin /bin /usr/local/sbin
 * /usr/sbin /sbin /usr/lib/git-core).  The caller stats them inside the jail's
 * root to get identities.  Every program word used in the profile's exec rules
 * is listed.
 */
size_t profile_programs(const struct profile *pr);
const char *profile_program_word(const struct profile *pr, size_t i);
/* NULL-terminated, borrowed, absolute paths to try; all that exist count. */
const char *const *profile_program_paths(const struct profile *pr, size_t i);

/*
 * Path rules for building the jail: fn is called for every read and write
 * rule, once for each of its brace alternatives.  pattern is as written, but
 * without braces: an absolute path or one starting with the anchor
 * "workspace", "scratch" (the jail's /tmp) or "home"; * and ** included.
 */
void profile_path_rules(const struct profile *pr,
    void (*fn)(
	enum effect e, enum policy_class c, const char *pattern, void *arg),
    void *arg);

/* ---- requests ---------------------------------------------------------- */

struct exec_request {
	const char *path;         /* absolute path of the executable as the jail
				   * sees it, or NULL if unknown (memfd) */
	const char *const *words; /* program words whose identity it has */
	size_t nwords;
	const char *const *argv; /* argv[0] is not trusted for matching */
	size_t argc;
	/* Risky variables that differ from the job's baseline: names. */
	const char *const *risky_env;
	size_t nrisky;
	const char *script; /* path of the #! script as the jail sees it,
			     * resolved, or NULL */
	const char *const *script_words; /* program words whose identity the
					  * script has: npm is one */
	size_t nscript_words;
	bool memfd;        /* executable has no name in any mount */
	bool elsewhere;    /* path is that of another file here: it was said
			    * in a mount namespace of its own */
	bool in_workspace; /* path lies below the workspace or scratch */
};

struct http_request {
	const char *method;
	const char *scheme; /* "http" or "https" */
	const char *host;   /* as sent; normalised here */
	uint16_t port;
	const char *target; /* origin-form: path and ?query as sent */
};

struct net_request {
	uint8_t addr[16]; /* network order, 4 or 16 bytes used */
	uint8_t family;   /* 4 or 6 */
	uint16_t port;
};

#define MODEL_NAME_MAX 256u

struct model_request {
	const char *provider; /* as brigd.conf's model-host calls it */
	const char *model;    /* as the request says, printable ASCII */
	uint64_t max_output;  /* tokens; 0: the request sets no limit */
};

enum decided_by {
	BY_FAILSAFE, /* built in: cannot be lifted by a file */
	BY_RULE,
	BY_DEFAULT,
};

struct decision {
	enum effect effect;
	enum decided_by by;
	char rule[96];     /* "coding.policy:31", "default exec",
			    * "built-in: ld.so" */
	char name[64];     /* `as` name of the rule, or "" */
	char because[256]; /* `because` text, or a sentence of ours */
	char normal[512];  /* the request as matched, for people */
};

/*
 * Never fail: what cannot be normalised is denied, with the reason in
 * because.  pr must not be NULL.
 */
void policy_exec(const struct policy *p, const struct profile *pr,
    const struct exec_request *rq, struct decision *d);
void policy_path(const struct policy *p, const struct profile *pr,
    enum policy_class c, const char *path, struct decision *d);
void policy_http(const struct policy *p, const struct profile *pr,
    const struct http_request *rq, struct decision *d);
/*
 * Whether an address that is private, loopback, link-local or otherwise not
 * global may be dialled: allowed only if an `allow net` rule names it (exact
 * address and port for loopback, link-local and metadata).  Global addresses
 * are allowed here unless a deny net rule names them: http rules have judged
 * the name.
 */
void policy_net(const struct policy *p, const struct profile *pr,
    const struct net_request *rq, struct decision *d);

/* Whether a model may be asked for so much output. */
void policy_model(const struct policy *p, const struct profile *pr,
    const struct model_request *rq, struct decision *d);

/*
 * Whether a connection that is neither TLS nor HTTP may be made to host (a name
 * or an address literal, as dialled) and port: only if a net rule names the
 * host, or the address, with that port.  Never to ports 80 and 443, and not to
 * an address itself where an http rule of the profile is for the same port:
 * http rules would be got around.  The addresses of a name have to pass
 * policy_net() as well.
 */
void policy_raw(const struct policy *p, const struct profile *pr,
    const char *host, uint16_t port, struct decision *d);
/*
 * Could any http rule of the profile let a request to that host and port
 * through, or have it asked?  Then one who says nothing may yet speak HTTP.
 */
bool policy_http_reaches(
    const struct profile *pr, const char *host, uint16_t port);

/*
 * The same decisions from what a person types (brig policy explain, and the
 * embedded tests).  argv[0] without a slash is a program word; with one, an
 * absolute path in the jail or one that begins with an anchor, and the file
 * is taken for those programs that have it among their paths.
 */
void policy_explain_exec(const struct policy *p, const struct profile *pr,
    const char *const *argv, size_t argc, struct decision *d);
void policy_explain_http(const struct policy *p, const struct profile *pr,
    const char *method, const char *url, struct decision *d);
/* addr is "10.0.0.5:80" or "[::1]:80" for policy_net(), or "NAME:PORT" for
 * policy_raw(). */
void policy_explain_net(const struct policy *p, const struct profile *pr,
    const char *addr, struct decision *d);
/* name is "PROVIDER/MODEL"; max_output 0: no limit said. */
void policy_explain_model(const struct policy *p, const struct profile *pr,
    const char *name, uint64_t max_output, struct decision *d);

/* True if var, "NAME" or "NAME=value", is on the built-in list of risky
 * environment variables; deny is set for those that are refused outright
 * (LD_*, GCONV_PATH). */
bool policy_env_risky(const char *var, bool *deny);
/* Does the profile let a risky variable, "NAME" or "NAME=value", be? */
bool profile_lets_variable(const struct profile *pr, const char *var);

/*
 * Where a rule is enforced, for `brig policy check`: "proxy", "exec-stop",
 * "kernel" ....  fn is called for each rule of the profile.
 */
void profile_rules(const struct profile *pr,
    void (*fn)(const char *rule, enum effect e, enum policy_class c,
	const char *text, const char *enforced_by, void *arg),
    void *arg);

/*
 * Warnings about what a policy says and hardly means, such as a rule that is
 * easily got around.  fn is called for each, with "file:line"; both strings
 * are borrowed until it returns.
 */
void policy_lint(const struct policy *p,
    void (*fn)(const char *where, const char *text, void *arg), void *arg);

/* ---- names and URLs, shared with the proxy ----------------------------- */

/*
 * Lower-case, strip one trailing dot, check: RFC 1123 host name or IPv4/IPv6
 * literal in canonical form (IPv6 without brackets).  Decimal, octal and hex
 * forms of IPv4, zone ids, NUL, '%' and non-ASCII are refused.  0 or -1.
 */
int policy_host_normalise(const char *in, char *out, size_t size);
/*
 * Split an absolute http(s) URL into its parts; userinfo and fragments are
 * refused.  host is normalised, port defaulted, target begins with '/'.
 */
int policy_url_split(const char *url, char scheme[8], char host[256],
    uint16_t *port, char *target, size_t target_size, struct error *err);
/*
 * The path that rules match: one percent-decode of unreserved characters,
 * no query.  -1 for %2F, %00, "..", "." segments, "//", backslash, controls.
 */
int policy_path_normalise(const char *target, char *out, size_t size);
/*
 * The same for a path of a request, as some server reads it: how is made of
 * these bits.  Without READING_SPLIT a %2F is a part of its segment.
 */
#define READING_SPLIT 1u /* %2F is a "/" */
#define READING_TWICE 2u /* it is decoded once more */
#define READING_CUT 4u   /* a segment ends at its ";" */
#define READINGS 8u
int policy_path_reading(
    const char *target, unsigned int how, char *out, size_t size);
/* Is the path, read with how 0, the same in all readings? */
bool policy_path_is_plain(const char *path);

#endif
