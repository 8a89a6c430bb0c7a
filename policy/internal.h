/*
 * The inside of the policy library: the compiled form, the state of a load,
 * and what its files offer each other.  Everything a policy owns is in its
 * pool and dies with it.  Included by the files of policy/ only.
 */
#ifndef BRIG_POLICY_INTERNAL_H
#define BRIG_POLICY_INTERNAL_H

#include "policy/policy.h"

#define EXPAND_WORD_MAX 256u    /* alternatives of one word */
#define EXPAND_TOTAL_MAX 65536u /* alternatives of all words of a policy */
#define EXPAND_BRACES_MAX 16u   /* brace pairs in one word */
#define RULES_MAX 8192u         /* rules, counted each time included */
#define PATH_RULES_MAX 1024u    /* read and write patterns of a profile */
#define PROFILES_MAX 256u
#define PROGRAMS_MAX 1024u
#define INCLUDES_MAX 256u       /* include statements carried out */
#define EXPECTS_MAX 4096u       /* expect lines of all tests */
#define EXPECT_ARGS_MAX 256u    /* arguments in one expect exec */
#define PATTERN_ARGS_MAX 64u    /* tokens of one exec pattern */
#define PATTERN_OPTIONAL_MAX 8u /* of them, those that may be absent */
#define EXCEPTS_MAX 16u         /* except parts of one rule */
#define NAME_MAX_ 63u           /* profile, program and rule names */
#define BECAUSE_MAX 255u
#define RULE_TEXT_MAX 512u
#define SEGMENTS_MAX 256u /* of one path or path pattern */
#define POLICY_PATH_MAX 4095u
#define HTTP_PATH_MAX 16384u /* of a request, normalised, with its NUL */

/* ---- memory ------------------------------------------------------------ */

struct pool {
	struct pool_chunk *head;
};

void *pool_alloc(struct pool *pl, size_t n); /* zeroed */
char *pool_strndup(struct pool *pl, const char *s, size_t n);
char *pool_strdup(struct pool *pl, const char *s);
/*
 * Room for element n of an array of n elements, returned in place of arr:
 * capacities are powers of two, so only n itself has to be remembered.
 */
void *pool_grow(struct pool *pl, void *arr, size_t n, size_t each);
void pool_free(struct pool *pl);

/* ---- sources, places, tokens ------------------------------------------- */

struct source {
	const char *name;
	const char *raw; /* as given, for showing lines */
	char *text;      /* raw with refused bytes blanked, NUL at len */
	size_t len;
	bool root;
	bool checked; /* lex_check() has been over it */
	bool parsed;  /* its statements at the top level are in */
	bool active;  /* being parsed: an include of it is a cycle */
};

struct pos {
	const struct source *src;
	size_t off;
	unsigned int line, col; /* from 1 */
};

enum tok_kind {
	TOK_EOF,
	TOK_WORD,
	TOK_STRING,
	TOK_OPEN,
	TOK_CLOSE,
	TOK_SEMI,
	TOK_COMMA,
	TOK_LIST,     /* [ */
	TOK_LIST_END, /* ] */
};

struct tok {
	enum tok_kind kind;
	struct pos pos;
	const char *s; /* WORD, STRING: decoded, NUL-terminated */
	size_t len;    /* a string of a test may hold NUL */
	bool hex;      /* STRING with \xNN in it */
	bool fresh;    /* first token of its line */
	size_t end;    /* offset behind it */
};

struct lex {
	struct load *ld;
	const struct source *src;
	size_t off;
	size_t line_at;
	unsigned int line;
	struct tok tok; /* the current token */
};

void lex_check(struct load *ld, struct source *s);
void lex_start(struct lex *lx, struct load *ld, const struct source *s);
void lex_next(struct lex *lx);

/* ---- compiled patterns ------------------------------------------------- */

struct path_pat {
	const char *written; /* with its anchor, braces expanded */
	const char **seg;    /* of the path in the jail; "**" stands alone */
	size_t nseg;
};

struct arg_pat {
	const char **alt;
	size_t nalt;
	bool literal;  /* quoted: no wildcard */
	bool optional; /* had an empty alternative */
};

struct prog_pat {
	const char *word; /* or NULL: */
	struct path_pat path;
};

struct url_pat {
	bool https;
	bool every; /* host is ** */
	bool addr;  /* host is an address */
	const char *host;
	uint16_t port;
	struct path_pat path;
};

struct net_pat {
	uint8_t addr[16];
	uint8_t family; /* 4 or 6; 0: host */
	uint8_t len;
	uint16_t port;    /* 0: any */
	const char *host; /* pattern; NULL for an address */
};

struct model_pat {
	const char *provider; /* or "*" */
	const char *model;    /* * matches any run of bytes */
};

struct pattern {
	struct prog_pat *prog; /* exec */
	size_t nprog;
	struct arg_pat *arg;
	size_t narg;
	bool rest;
	struct path_pat *path; /* read, write */
	size_t npath;
	const char **method; /* http; none: any */
	size_t nmethod;
	struct url_pat *url;
	size_t nurl;
	struct net_pat *net; /* net */
	size_t nnet;
	struct model_pat *model; /* model */
	size_t nmodel;
	/* What it matches is widened by matching: be exact, not generous. */
	bool widens;
};

struct cond {
	bool with; /* else without */
	const char **pat;
	size_t npat;
};

struct rule {
	enum effect effect;
	enum policy_class cls;
	struct pos pos;
	struct pattern pat;
	struct pattern *except;
	size_t nexcept;
	struct cond *cond;
	size_t ncond;
	uint64_t max_output; /* model; 0: none set */
	const char *name;    /* "" if none */
	const char *because; /* "" if none */
	const char *text;
};

struct program {
	const char *word;
	const char **path; /* NULL-terminated */
	struct pos pos;
};

enum setting {
	SET_WORKSPACE_EXEC,
	SET_WORKSPACE_MODE,
	SET_MEMFD,
	SET_TMP,
	SET_TRACE,
	SET_UNATTENDED,
	SET_ASK_TIMEOUT,
	SET_WALL,
	SET_PROCS,
	SET_MEMORY,
	SET_FILES,
	SET_OUTPUT,
	SET_SWAP,
	SET_CPU,
	SET_CPU_WEIGHT,
	SET_IO,
	SET_DISK,
	SET_INODES,
	SET_PROTECT,
	SET_SECCOMP,
	SET_HOME,
	SET_ROOT,
	SET_TREES,
	SET_VARIABLES,
	SET_MAX
};

struct profile {
	const char *name;
	struct pos pos;
	const char *extends; /* NULL if none */
	struct pos extends_pos;
	struct profile *parent;
	bool flat; /* everything below the line is final */
	struct rule **local;
	size_t nlocal;
	bool has_default[POLICY_CLASSES];
	enum effect defaults[POLICY_CLASSES];
	bool has[SET_MAX];
	struct profile_settings set;
	/* ---- */
	struct rule **rules; /* inherited ones first */
	size_t nrules;
	const struct program **program;
	size_t nprogram;
};

struct expect {
	enum effect effect;
	enum policy_class cls;
	struct pos pos;
	const char **arg; /* exec: argv; http: method, URL; else one */
	size_t narg;
	uint64_t max_output; /* model */
	bool nul; /* one of them holds a NUL: no such request can be */
};

struct test {
	const char *name;
	struct pos pos;
	struct profile *in; /* profile whose block holds it, or NULL */
	struct expect *expect;
	size_t nexpect;
};

struct policy {
	struct pool pool;
	struct profile *base; /* statements outside any profile */
	struct profile **profile;
	size_t nprofile;
	struct program **program;
	size_t nprogram;
	struct test **test;
	size_t ntest;
	size_t nexpect;
	char fingerprint[17];
};

struct load {
	struct policy *p;
	struct policy_diags *ds;
	struct source *src;
	size_t nsrc;
	unsigned int depth; /* of includes */
	unsigned int includes;
	size_t rules;
	size_t expanded;
	bool torn; /* a string swallowed the rest of the statement */
};

/* ---- diag.c ------------------------------------------------------------ */

void diag_at(struct load *ld, const struct pos *pos, const char *fmt, ...)
    attr_printf(3, 4);
/* "expected WHAT, found "..." (did you mean "...")"; cands may be NULL. */
void diag_expected(struct load *ld, const struct tok *t, const char *what,
    const char *const *cands, size_t n);
/* The nearest of n words, or NULL if none is near. */
const char *suggest(const char *word, const char *const *cands, size_t n);

/* ---- parse.c, rule.c, settings.c, testblock.c ---------------------------- */

void parse_source(
    struct load *ld, struct source *s, struct profile *in, unsigned int depth);
/* Skip to where the next statement begins. */
void parse_sync(struct lex *lx);
/* Take the ; that ends a statement; else say so and sync.  True if it was
 * there. */
bool parse_end(struct lex *lx);
bool tok_is(const struct tok *t, const char *word);
/* Index of the token's word in n words; -1 with an error at its place. */
int parse_choice(
    struct lex *lx, const char *what, const char *const *words, size_t n);
int parse_class(struct lex *lx);  /* enum policy_class, or -1 */
int parse_effect(struct lex *lx); /* enum effect, or -1 */
/* Can a person be asked about that class? */
bool can_ask(enum policy_class c);
/* A number of tokens of a model, at least 1.  0, or -1 with an error. */
int parse_tokens(struct lex *lx, uint64_t *n);
/* The current token is the effect. */
void parse_rule(struct lex *lx, struct profile *in);
/* Same, when the effect (at pos) has been read: the current token is the class.
 */
void parse_rule_of(
    struct lex *lx, struct profile *in, enum effect e, struct pos pos);
/* Remember that s is set; false, with an error, if it was already. */
bool setting_once(
    struct lex *lx, struct profile *in, enum setting s, const struct pos *pos);
/* Behind the word sandbox.  0, or -1 with an error. */
int parse_sandbox(struct lex *lx, struct profile *in);
/* Behind the words default, ask, limit or sandbox; ask may begin a rule. */
void parse_setting(struct lex *lx, struct profile *in, const char *what);
void parse_test(struct lex *lx, struct profile *in);
/* Run every test; mistakes are reported at the expect lines. */
void run_tests(struct load *ld);

extern const char *const effect_words[3];
extern const char *const class_words[POLICY_CLASSES];
extern const char *const later_classes[1];

/* ---- expand.c, pathpat.c, hostpat.c, net.c --------------------------------
 */

/* Brace alternatives of a word; -1 with an error at its place. */
int expand_word(
    struct load *ld, const struct tok *t, const char ***out, size_t *n);
/* * matches any run of bytes, possibly empty. */
bool glob_match(const char *pat, const char *s);
int path_pat_parse(
    struct load *ld, const struct pos *pos, const char *s, struct path_pat *pp);
/* Only the segments: for the path of a URL pattern. */
int path_pat_split(
    struct load *ld, const struct pos *pos, const char *s, struct path_pat *pp);
bool path_pat_match(const struct path_pat *pp, const char *path);
/*
 * An absolute path, or one that begins with an anchor, as the jail sees it:
 * no empty, "." or ".." segment, no control byte.  -1 if it is not so.
 */
int jail_path(const char *in, char *out, size_t size);
bool path_below(const char *path, const char *dir); /* or dir itself */
int url_pat_parse(struct load *ld, const struct pos *pos, const char *s,
    bool widens, struct url_pat *up);
/* Check the host part of a pattern; lower-cases it in place. */
int host_pat_check(struct load *ld, const struct pos *pos, char *s, bool widens,
    struct url_pat *up);
bool host_pat_match(const char *pat, const char *host);
/* True if a normalised host name is an address. */
bool host_is_addr(const char *host);
int net_pat_parse(struct load *ld, const struct pos *pos, const char *s,
    bool widens, struct net_pat *np);
bool net_pat_match(const struct net_pat *np, const struct net_request *rq);
int model_pat_parse(struct load *ld, const struct pos *pos, const char *s,
    struct model_pat *mp);
/* "10.0.0.1:80", "[::1]:80". */
int net_request_parse(const char *s, struct net_request *rq);
/* "NAME:PORT"; port is 0 where there is none.  0 or -1. */
int net_name_split(const char *s, char *host, size_t size, uint16_t *port);
/* NAME:PORT of a net rule; false if s does not look like one. */
bool net_is_name(const char *s);
int net_name_parse(struct load *ld, const struct pos *pos, const char *s,
    bool widens, struct net_pat *np);
/* A port that http rules judge cannot be opened by others. */
int net_port_check(struct load *ld, const struct pos *pos, uint16_t port);
/* May no rule let a connection to it through?  Then *why says so. */
bool net_is_never(const struct net_request *rq, const char **why);
/* Only rules of one address and one port count for it. */
bool net_is_exact(const struct net_request *rq);
/* IPv4 in a mapped address is judged as itself. */
void net_request_plain(struct net_request *rq, bool *translated);

#define JAIL_WORKSPACE "/workspace"
#define JAIL_SCRATCH "/tmp"
#define JAIL_HOME "/home/agent"

/* ---- args.c, exec.c, eval.c -----------------------------------------------
 */

/* One way to read an exec: as which programs, with which arguments. */
struct reading {
	const char *const *words;
	size_t nwords;
	const char *path; /* NULL if unknown */
	const char *const *args;
	size_t nargs;
};

/* Does the flag pattern match one of the arguments? */
bool args_have(const struct reading *rd, const char *pat, bool generous);
bool exec_pat_match(const struct pattern *pt, const struct reading *rd);
bool cond_holds(const struct rule *r, const struct reading *rd);

struct verdict {
	enum effect effect;
	const struct rule *rule; /* NULL: nothing matched */
};

typedef bool rule_match_fn(const struct rule *r, const void *rq);
/* deny > ask > allow over the rules of one class. */
void decide(const struct profile *pr, enum policy_class c, rule_match_fn *fn,
    const void *rq, struct verdict *v);
void decision_fill(const struct profile *pr, enum policy_class c,
    const struct verdict *v, struct decision *d);
void decision_failsafe(
    struct decision *d, const char *what, const char *because);
/* d->normal: head and n more, escaped; "[cut]" where they no longer fit. */
void decision_show(
    struct decision *d, const char *head, const char *const *more, size_t n);

/* Words that stand for programs which are many programs in one. */
extern const char *const multicall_words[3];

const struct program *policy_program(const struct policy *p, const char *word);

/* ---- profile.c -------------------------------------------------------------
 */

void profile_base_init(struct profile *base);
/* Connect extends, collect inherited rules, settings and programs. */
void profiles_finish(struct load *ld);

#endif
