#include "daemon/jobspec.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#define HOSTNAME_MAX 63u

static void
put_strv(struct buf *b, char *const *v)
{
	uint32_t n = 0;

	while (v != NULL && v[n] != NULL)
		n++;
	buf_put_u32(b, n);
	for (uint32_t i = 0; i < n; i++)
		buf_put_str(b, v[i]);
}

/* total: bytes that all elements may have together, counted down. */
static char **
get_strv(struct cur *c, uint32_t max, size_t *total)
{
	uint32_t n = cur_count(c, max, sizeof(uint32_t));
	char **v;

	if (c->failed)
		return NULL;
	v = xcalloc((size_t)n + 1, sizeof(*v));
	for (uint32_t i = 0; i < n; i++) {
		v[i] = cur_str(c, *total);
		if (v[i] == NULL)
			break;
		*total -= strlen(v[i]);
	}
	return v;
}

static void
free_strv(char **v)
{
	for (size_t i = 0; v != NULL && v[i] != NULL; i++)
		free(v[i]);
	free(v);
}

/* "NAME=value" with a name that a shell could have. */
static bool
is_env(const char *s)
{
	size_t i = 0;

	for (; s[i] != '\0' && s[i] != '='; i++) {
		bool alpha = (s[i] >= 'A' && s[i] <= 'Z') ||
			     (s[i] >= 'a' && s[i] <= 'z') || s[i] == '_';

		if (!alpha && (i == 0 || s[i] < '0' || s[i] > '9'))
			return false;
	}
	return i > 0 && s[i] == '=';
}

static bool
are_env(char *const *v)
{
	for (size_t i = 0; v[i] != NULL; i++)
		if (!is_env(v[i]))
			return false;
	return true;
}

int
job_spec_put(struct buf *b, const struct job_spec *s)
{
	buf_put_u32(b, s->job);
	buf_put_u32(b, s->uid);
	buf_put_u32(b, s->gid);
	buf_put_str(b, s->profile);
	put_strv(b, s->argv);
	put_strv(b, s->env);
	buf_put_str(b, s->workspace);
	buf_put_u8(b, s->tty);
	buf_put_u16(b, s->rows);
	buf_put_u16(b, s->cols);
	buf_put_str(b, s->term);
	return buf_failed(b) ? -1 : 0;
}

int
job_spec_get(struct cur *c, struct job_spec *s)
{
	size_t args = JOB_ARGV_BYTES_MAX, env = JOB_ARGV_BYTES_MAX;

	memset(s, 0, sizeof(*s));
	s->job = cur_u32(c);
	s->uid = cur_u32(c);
	s->gid = cur_u32(c);
	s->profile = cur_str(c, P_NAME_MAX);
	s->argv = get_strv(c, JOB_ARGV_MAX, &args);
	s->env = get_strv(c, JOB_ENV_MAX, &env);
	s->workspace = cur_str(c, P_PATH_MAX);
	s->tty = cur_bool(c);
	s->rows = cur_u16(c);
	s->cols = cur_u16(c);
	s->term = cur_str(c, P_NAME_MAX);
	if (c->failed || s->job == 0 || !str_is_name(s->profile, P_NAME_MAX) ||
	    s->argv[0] == NULL || s->argv[0][0] == '\0' || !are_env(s->env) ||
	    (s->workspace[0] != '\0' && s->workspace[0] != '/')) {
		job_spec_free(s);
		return -1;
	}
	return 0;
}

void
job_spec_free(struct job_spec *s)
{
	free(s->profile);
	free_strv(s->argv);
	free_strv(s->env);
	free(s->workspace);
	free(s->term);
	memset(s, 0, sizeof(*s));
}

int
shim_spec_put(struct buf *b, const struct shim_spec *s)
{
	if (job_spec_put(b, &s->job) < 0)
		return -1;
	buf_put_u32(b, s->host_uid);
	buf_put_str(b, s->hostname);
	put_strv(b, s->stub_env);
	return buf_failed(b) ? -1 : 0;
}

int
shim_spec_get(struct cur *c, struct shim_spec *s)
{
	size_t stubs = (size_t)P_SECRETS_MAX * (P_STUB_MAX + P_NAME_MAX + 1);

	memset(s, 0, sizeof(*s));
	if (job_spec_get(c, &s->job) < 0)
		return -1;
	s->host_uid = cur_u32(c);
	s->hostname = cur_str(c, HOSTNAME_MAX);
	s->stub_env = get_strv(c, P_SECRETS_MAX, &stubs);
	/* A jail never runs as root or as "nobody mapped". */
	if (c->failed || s->host_uid == 0 || s->host_uid == UINT32_MAX ||
	    !str_is_hostname(s->hostname) || !are_env(s->stub_env)) {
		shim_spec_free(s);
		return -1;
	}
	return 0;
}

void
shim_spec_free(struct shim_spec *s)
{
	job_spec_free(&s->job);
	free(s->hostname);
	free_strv(s->stub_env);
	memset(s, 0, sizeof(*s));
}
