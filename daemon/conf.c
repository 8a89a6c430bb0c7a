#include "daemon/conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdutil.h"
#include "base/str.h"
#include "proxy/model.h"

/* One word of a line and where it began, for error messages. */
struct word {
	char *s;
	unsigned int col;
};

struct parse {
	struct conf *c;
	const char *file;
	unsigned int line;
	struct word w[CONF_WORDS_MAX + 1];
	size_t n;      /* words, the directive included */
	uint64_t seen; /* bit per directive that may come once */
	unsigned int errors;
	struct buf *diag;
};

static int attr_printf(3, 4)
    conf_error(struct parse *p, unsigned int col, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (p->errors++ < CONF_ERRORS_MAX)
		buf_printf(
		    p->diag, "%s:%u:%u: %s\n", p->file, p->line, col, text);
	return -1;
}

/* Untrusted words are shown escaped, even though the file is root's. */
static int
conf_bad(struct parse *p, size_t i, const char *expected)
{
	cleanup_free char *shown = str_escape(p->w[i].s, strlen(p->w[i].s));

	return conf_error(
	    p, p->w[i].col, "expected %s, found \"%.200s\"", expected, shown);
}

static void
set_str(char **dst, const char *s)
{
	free(*dst);
	*dst = xstrdup(s);
}

static int
list_add(struct parse *p, struct conf_list *l, const char *s)
{
	if (l->n >= CONF_LIST_MAX)
		return conf_error(p, p->w[0].col,
		    "more than %u \"%s\" directives", CONF_LIST_MAX, p->w[0].s);
	l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
	l->v[l->n++] = xstrdup(s);
	return 0;
}

static void
list_free(struct conf_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	l->v = NULL;
	l->n = 0;
}

static int
want_path(struct parse *p, size_t i)
{
	if (p->w[i].s[0] != '/')
		return conf_bad(p, i, "an absolute path");
	if (strlen(p->w[i].s) >= P_PATH_MAX)
		return conf_error(p, p->w[i].col, "path too long");
	return 0;
}

static int
want_number(
    struct parse *p, size_t i, uint64_t min, uint64_t max, uint64_t *out)
{
	if (str_to_u64(p->w[i].s, min, max, out) < 0) {
		char what[96];

		snprintf(what, sizeof(what), "a number from %llu to %llu",
		    (unsigned long long)min, (unsigned long long)max);
		return conf_bad(p, i, what);
	}
	return 0;
}

/* A host name, or an address without brackets. */
static bool
is_host(const char *s)
{
	unsigned char raw[16];

	return inet_pton(AF_INET, s, raw) == 1 ||
	       inet_pton(AF_INET6, s, raw) == 1 || str_is_hostname(s);
}

static int
set_path(struct parse *p, char **dst)
{
	if (want_path(p, 1) < 0)
		return -1;
	set_str(dst, p->w[1].s);
	return 0;
}

static int
set_socket(struct parse *p, char **dst)
{
	/* sun_path holds 107 bytes and the NUL. */
	if (strlen(p->w[1].s) > 107)
		return conf_error(
		    p, p->w[1].col, "socket path is longer than 107 bytes");
	return set_path(p, dst);
}

static int
do_socket(struct parse *p)
{
	return set_socket(p, &p->c->socket);
}

static int
do_inferd(struct parse *p)
{
	return set_socket(p, &p->c->inferd);
}

static int
do_socket_mode(struct parse *p)
{
	const char *s = p->w[1].s;
	unsigned int mode = 0;

	for (size_t i = 0; s[i] != '\0'; i++) {
		if (s[i] < '0' || s[i] > '7' || i >= 4)
			return conf_bad(p, 1, "an octal mode such as 0660");
		mode = mode * 8 + (unsigned int)(s[i] - '0');
	}
	if (mode > 0777)
		return conf_bad(p, 1, "an octal mode such as 0660");
	p->c->socket_mode = mode;
	return 0;
}

static int
do_state_dir(struct parse *p)
{
	return set_path(p, &p->c->state_dir);
}

static int
do_log_dir(struct parse *p)
{
	return set_path(p, &p->c->log_dir);
}

static int
do_run_dir(struct parse *p)
{
	return set_path(p, &p->c->run_dir);
}

static int
do_policy(struct parse *p)
{
	return want_path(p, 1) < 0 ? -1 : list_add(p, &p->c->policy, p->w[1].s);
}

static int
do_job_uids(struct parse *p)
{
	uint64_t base, count;

	if (str_eq(p->w[1].s, "subuid")) {
		/* A name that is a number means that user id, as there. */
		set_str(&p->c->job_subuid, p->w[2].s);
		return 0;
	}
	/* -1 means "unchanged" to the kernel and must stay out of reach. */
	if (want_number(p, 1, CONF_JOB_UID_MIN, UINT32_MAX - 1, &base) < 0 ||
	    want_number(p, 2, 1, CONF_JOB_UIDS_MAX, &count) < 0)
		return -1;
	if (base + count > UINT32_MAX)
		return conf_error(
		    p, p->w[2].col, "job uids run past the last user id");
	p->c->job_uid_base = (uid_t)base;
	p->c->job_uid_count = (uint32_t)count;
	return 0;
}

static int
do_user(struct parse *p)
{
	enum role role = role_by_name(p->w[1].s);
	cleanup_free char *spec = xstrdup(p->w[2].s);
	char *colon = strchr(spec, ':');
	struct conf_user *u;
	uint64_t n;

	if (role != ROLE_CONTROL && role != ROLE_KEYD && role != ROLE_AUDIT &&
	    role != ROLE_DNS && role != ROLE_FRONT && role != ROLE_BACK)
		return conf_bad(
		    p, 1, "one of control keyd audit dns front back");
	u = &p->c->user[role];
	u->has_gid = false;
	if (colon != NULL) {
		*colon = '\0';
		if (str_to_u64(colon + 1, 1, UINT32_MAX - 1, &n) < 0)
			return conf_bad(p, 2, "NAME or UID[:GID] (not root)");
		u->gid = (gid_t)n;
		u->has_gid = true;
	}
	if (str_to_u64(spec, 1, UINT32_MAX - 1, &n) == 0) {
		u->uid = (uid_t)n;
		if (!u->has_gid)
			u->gid = (gid_t)n;
		u->has_gid = true;
		free(u->name);
		u->name = NULL;
		return 0;
	}
	if (spec[0] == '\0' || (spec[0] >= '0' && spec[0] <= '9') ||
	    strlen(spec) > 31)
		return conf_bad(p, 2, "NAME or UID[:GID] (not root)");
	set_str(&u->name, spec);
	return 0;
}

static int
do_admin_group(struct parse *p)
{
	set_str(&p->c->admin_group, p->w[1].s);
	return 0;
}

static int
do_ca_roots(struct parse *p)
{
	return set_path(p, &p->c->ca_roots);
}

static int
do_extra_ca(struct parse *p)
{
	cleanup_free char *entry = NULL;
	char text[INET6_ADDRSTRLEN] = "";
	unsigned char raw[16];

	if (p->n == 2)
		return want_path(p, 1) < 0
			   ? -1
			   : list_add(p, &p->c->extra_ca, p->w[1].s);
	if (!is_host(p->w[1].s))
		return conf_bad(p, 1, "a host name or an address");
	if (want_path(p, 2) < 0)
		return -1;
	/* As hosts are compared: an address in its one usual spelling. */
	str_lower(p->w[1].s);
	if (inet_pton(AF_INET6, p->w[1].s, raw) == 1)
		inet_ntop(AF_INET6, raw, text, sizeof(text));
	entry =
	    xasprintf("%s %s", text[0] != '\0' ? text : p->w[1].s, p->w[2].s);
	return list_add(p, &p->c->host_ca, entry);
}

/* "http://HOST:PORT", with brackets around an IPv6 address. */
static int
do_upstream_proxy(struct parse *p)
{
	static const char form[] = "http://HOST:PORT";
	cleanup_free char *url = xstrdup(p->w[1].s);
	char *host, *colon;
	uint64_t port;
	size_t n;

	if (!str_starts(url, "http://"))
		return conf_bad(p, 1, form);
	host = url + 7;
	n = strlen(host);
	if (n > 0 && host[n - 1] == '/')
		host[n - 1] = '\0';
	colon = strrchr(host, ':');
	if (colon == NULL || str_to_u64(colon + 1, 1, UINT16_MAX, &port) < 0)
		return conf_bad(p, 1, form);
	*colon = '\0';
	if (host[0] == '[' && colon > host + 1 && colon[-1] == ']') {
		colon[-1] = '\0';
		if (strchr(++host, ':') == NULL)
			return conf_bad(p, 1, form);
	} else if (strchr(host, ':') != NULL) {
		return conf_bad(p, 1, form);
	}
	if (!is_host(host))
		return conf_bad(p, 1, form);
	str_lower(host);
	set_str(&p->c->upstream_proxy, host);
	p->c->upstream_port = (uint16_t)port;
	return 0;
}

static int
do_upstream_secret(struct parse *p)
{
	if (!str_is_name(p->w[1].s, P_NAME_MAX))
		return conf_bad(p, 1, "the name of a credential");
	set_str(&p->c->upstream_secret, p->w[1].s);
	return 0;
}

static int
do_no_proxy(struct parse *p)
{
	const char *s = p->w[1].s;

	if (!is_host(str_starts(s, "*.") ? s + 2 : s) ||
	    (str_starts(s, "*.") && !str_is_hostname(s + 2)))
		return conf_bad(p, 1, "NAME, *.NAME or an address");
	str_lower(p->w[1].s);
	return list_add(p, &p->c->no_proxy, s);
}

static int
do_resolve(struct parse *p)
{
	cleanup_free char *addrs = xstrdup(p->w[2].s);
	cleanup_free char *entry = NULL;
	char *next = addrs, *one;
	unsigned char raw[16];

	if (!str_is_hostname(p->w[1].s))
		return conf_bad(p, 1, "a host name");
	while ((one = strsep(&next, ",")) != NULL)
		if (inet_pton(AF_INET, one, raw) != 1 &&
		    inet_pton(AF_INET6, one, raw) != 1)
			return conf_bad(p, 2, "ADDR[,ADDR...]");
	str_lower(p->w[1].s);
	entry = xasprintf("%s %s", p->w[1].s, p->w[2].s);
	return list_add(p, &p->c->resolve, entry);
}

static int
do_model_host(struct parse *p)
{
	cleanup_free char *entry = xasprintf("%s %s", p->w[1].s, p->w[2].s);
	struct model_host h;
	struct error err = { 0 };

	if (model_host_parse(entry, &h, &err) < 0)
		return conf_bad(p, 1,
		    "HOST[:PORT] and openai, anthropic or "
		    "gemini, maybe with :PROVIDER");
	return list_add(p, &p->c->model_hosts, entry);
}

static int
do_shim(struct parse *p)
{
	return set_path(p, &p->c->shim);
}

static int
do_default_profile(struct parse *p)
{
	if (!str_is_name(p->w[1].s, P_NAME_MAX))
		return conf_bad(p, 1, "a profile name");
	set_str(&p->c->default_profile, p->w[1].s);
	return 0;
}

static int
do_vault_key(struct parse *p)
{
	return set_path(p, &p->c->vault_key);
}

static int
do_log_level(struct parse *p)
{
	if (str_eq(p->w[1].s, "warn"))
		p->c->log_level = LOG_LEVEL_WARN;
	else if (str_eq(p->w[1].s, "info"))
		p->c->log_level = LOG_LEVEL_INFO;
	else if (str_eq(p->w[1].s, "debug"))
		p->c->log_level = LOG_LEVEL_DEBUG;
	else
		return conf_bad(p, 1, "one of warn info debug");
	return 0;
}

static int
do_ask_timeout(struct parse *p)
{
	uint64_t n;

	if (want_number(p, 1, 1, CONF_ASK_TIMEOUT_MAX, &n) < 0)
		return -1;
	p->c->ask_timeout = (uint32_t)n;
	return 0;
}

static int
do_max_jobs(struct parse *p)
{
	uint64_t n;

	if (want_number(p, 1, 1, P_JOBS_MAX, &n) < 0)
		return -1;
	p->c->max_jobs = (uint32_t)n;
	return 0;
}

static int
do_max_user_jobs(struct parse *p)
{
	uint64_t n;

	if (want_number(p, 1, 1, P_JOBS_MAX, &n) < 0)
		return -1;
	p->c->max_user_jobs = (uint32_t)n;
	return 0;
}

static int
do_cgroups(struct parse *p)
{
	if (str_eq(p->w[1].s, "auto"))
		p->c->cgroups = CONF_CGROUPS_AUTO;
	else if (str_eq(p->w[1].s, "required"))
		p->c->cgroups = CONF_CGROUPS_REQUIRED;
	else if (str_eq(p->w[1].s, "optional"))
		p->c->cgroups = CONF_CGROUPS_OPTIONAL;
	else if (str_eq(p->w[1].s, "off"))
		p->c->cgroups = CONF_CGROUPS_OFF;
	else
		return conf_bad(p, 1, "one of auto required optional off");
	return 0;
}

static int
do_cgroup_parent(struct parse *p)
{
	const char *s = p->w[1].s;

	if (strstr(s, "/..") != NULL || strlen(s) >= CONF_CGROUP_MAX)
		return conf_bad(p, 1, "a path such as /system.slice");
	return set_path(p, &p->c->cgroup_parent);
}

static const struct directive {
	const char *name;
	const char *args; /* for the message on a wrong count; the first one
			   * may be left out if it is in brackets */
	size_t nargs;
	bool repeat; /* user, too: told apart by role */
	int (*fn)(struct parse *);
} directives[] = {
	{ "socket", "PATH", 1, false, do_socket },
	{ "socket-mode", "MODE", 1, false, do_socket_mode },
	{ "state-dir", "DIR", 1, false, do_state_dir },
	{ "log-dir", "DIR", 1, false, do_log_dir },
	{ "run-dir", "DIR", 1, false, do_run_dir },
	{ "policy", "PATH", 1, true, do_policy },
	{ "cgroups", "MODE", 1, false, do_cgroups },
	{ "cgroup-parent", "PATH", 1, false, do_cgroup_parent },
	{ "job-uids", "BASE COUNT or subuid NAME", 2, false, do_job_uids },
	{ "user", "ROLE NAME-or-UID[:GID]", 2, true, do_user },
	{ "admin-group", "NAME-or-GID", 1, false, do_admin_group },
	{ "ca-roots", "PATH", 1, false, do_ca_roots },
	{ "extra-ca", "[HOST] PATH", 2, true, do_extra_ca },
	{ "upstream-proxy", "http://HOST:PORT", 1, false, do_upstream_proxy },
	{ "upstream-proxy-secret", "NAME", 1, false, do_upstream_secret },
	{ "no-proxy", "NAME", 1, true, do_no_proxy },
	{ "resolve", "NAME ADDR[,ADDR...]", 2, true, do_resolve },
	{ "model-host", "HOST[:PORT] SHAPE[:PROVIDER]", 2, true,
	    do_model_host },
	{ "inferd", "PATH", 1, false, do_inferd },
	{ "shim", "PATH", 1, false, do_shim },
	{ "default-profile", "NAME", 1, false, do_default_profile },
	{ "vault-key", "PATH", 1, false, do_vault_key },
	{ "log-level", "LEVEL", 1, false, do_log_level },
	{ "ask-timeout", "SECONDS", 1, false, do_ask_timeout },
	{ "max-jobs", "N", 1, false, do_max_jobs },
	{ "max-jobs-per-user", "N", 1, false, do_max_user_jobs },
};

static int
conf_directive(struct parse *p)
{
	for (size_t i = 0; i < nitems(directives); i++) {
		const struct directive *d = &directives[i];

		if (strcmp(d->name, p->w[0].s) != 0)
			continue;
		if (p->n != d->nargs + 1 &&
		    (p->n != d->nargs || d->args[0] != '['))
			return conf_error(
			    p, p->w[0].col, "usage: %s %s", d->name, d->args);
		if (!d->repeat && p->seen & 1ull << i)
			return conf_error(
			    p, p->w[0].col, "\"%s\" is given twice", d->name);
		p->seen |= 1ull << i;
		return d->fn(p);
	}
	return conf_bad(p, 0, "a directive");
}

/*
 * Words are separated by blanks; '#' at the beginning of a word starts a
 * comment; there is no quoting, so that a path means what it shows.
 */
static int
conf_line(struct parse *p, char *line)
{
	unsigned int col = 0;

	p->n = 0;
	for (;;) {
		while (line[col] == ' ' || line[col] == '\t')
			col++;
		if (line[col] == '\0' || line[col] == '#')
			break;
		if (p->n == CONF_WORDS_MAX)
			return conf_error(p, col + 1, "too many words");
		p->w[p->n].s = line + col;
		p->w[p->n++].col = col + 1;
		while (line[col] != '\0' && line[col] != ' ' &&
		       line[col] != '\t') {
			unsigned char ch = (unsigned char)line[col];

			if (ch < 0x20 || ch >= 0x7f)
				return conf_error(p, col + 1,
				    "byte 0x%02x is not allowed", ch);
			col++;
		}
		if (line[col] == '\0')
			break;
		line[col++] = '\0';
	}
	return p->n == 0 ? 0 : conf_directive(p);
}

int
conf_parse(struct conf *c, const char *name, const void *bytes, size_t n,
    struct buf *diag)
{
	struct parse p = { .c = c, .file = name, .diag = diag };
	const char *s = bytes;
	char line[CONF_LINE_MAX + 1];

	while (n > 0) {
		const char *nl = memchr(s, '\n', n);
		size_t len = nl == NULL ? n : (size_t)(nl - s);
		size_t used = nl == NULL ? n : len + 1;

		p.line++;
		if (len > CONF_LINE_MAX) {
			conf_error(&p, 1, "line is longer than %u bytes",
			    CONF_LINE_MAX);
		} else if (memchr(s, '\0', len) != NULL) {
			conf_error(&p, 1, "NUL byte");
		} else {
			memcpy(line, s, len);
			line[len] = '\0';
			conf_line(&p, line);
		}
		s += used;
		n -= used;
	}
	if (c->upstream_proxy == NULL &&
	    (c->upstream_secret != NULL || c->no_proxy.n > 0) && p.errors == 0)
		conf_error(&p, 1,
		    "upstream-proxy-secret and no-proxy need an "
		    "upstream-proxy");
	if (c->policy.n == 0 && p.errors == 0)
		list_add(&p, &c->policy, BRIG_SYSCONFDIR "/brig/policy.d");
	return p.errors == 0 ? 0 : -1;
}

int
conf_load(struct conf *c, const char *path, bool optional, struct buf *diag)
{
	cleanup_fd int fd = -1;
	cleanup_buf struct buf b = { 0 };
	struct stat st;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && optional)
		return conf_parse(c, path, "", 0, diag);
	if (fd < 0 || fstat(fd, &st) < 0) {
		buf_printf(diag, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		buf_printf(diag, "%s: not a regular file\n", path);
		return -1;
	}
	if (geteuid() == 0 &&
	    (st.st_uid != 0 || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)) {
		buf_printf(diag,
		    "%s: must belong to root and be writable by nobody else\n",
		    path);
		return -1;
	}
	if (fd_read_all(fd, &b, CONF_FILE_MAX) < 0) {
		buf_printf(diag, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	return conf_parse(c, path, buf_head(&b), buf_len(&b), diag);
}

void
conf_init(struct conf *c)
{
	static const char *const users[ROLE_MAX] = {
		[ROLE_CONTROL] = "_brig",
		[ROLE_KEYD] = "_brigkey",
		[ROLE_AUDIT] = "_brigaudit",
		[ROLE_DNS] = "_brig",
		[ROLE_FRONT] = "_brigfront",
		[ROLE_BACK] = "_brigback",
	};

	memset(c, 0, sizeof(*c));
	c->socket = xstrdup("/run/brig/brigd.sock");
	c->socket_mode = 0666;
	c->state_dir = xstrdup("/var/lib/brig");
	c->log_dir = xstrdup("/var/log/brig");
	c->run_dir = xstrdup("/run/brig");
	c->job_uid_base = CONF_JOB_UID_BASE;
	c->job_uid_count = CONF_JOB_UID_COUNT;
	for (unsigned int r = 0; r < ROLE_MAX; r++)
		if (users[r] != NULL)
			c->user[r].name = xstrdup(users[r]);
	c->admin_group = xstrdup("brig");
	c->ca_roots = xstrdup("/etc/ssl/certs/ca-certificates.crt");
	c->inferd = xstrdup("/run/inferd/inferd.sock");
	c->shim = xstrdup(BRIG_LIBEXECDIR "/brig-shim");
	c->default_profile = xstrdup("default");
	c->log_level = LOG_LEVEL_INFO;
	c->ask_timeout = CONF_ASK_TIMEOUT;
}

void
conf_free(struct conf *c)
{
	free(c->socket);
	free(c->state_dir);
	free(c->log_dir);
	free(c->run_dir);
	for (unsigned int r = 0; r < ROLE_MAX; r++)
		free(c->user[r].name);
	free(c->admin_group);
	free(c->ca_roots);
	free(c->inferd);
	free(c->shim);
	free(c->default_profile);
	free(c->vault_key);
	free(c->job_subuid);
	free(c->cgroup_parent);
	list_free(&c->policy);
	list_free(&c->extra_ca);
	list_free(&c->host_ca);
	list_free(&c->no_proxy);
	free(c->upstream_proxy);
	free(c->upstream_secret);
	list_free(&c->resolve);
	list_free(&c->model_hosts);
	memset(c, 0, sizeof(*c));
}

char *
conf_vault_key(const struct conf *c)
{
	return c->vault_key != NULL ? xstrdup(c->vault_key)
				    : xasprintf("%s/vault.key", c->state_dir);
}
