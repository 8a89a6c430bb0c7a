#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "sandbox/jail.h"

/* The job cannot choose these: they describe the jail. */
static const char *const fixed[] = {
	"HOME=" JAIL_HOME,
	"USER=" JAIL_USER,
	"LOGNAME=" JAIL_USER,
	"TMPDIR=/tmp",
	/* OpenSSL, Go, Ruby, PHP; then those that look elsewhere. */
	"SSL_CERT_FILE=" JAIL_CA_FILE,
	"NODE_EXTRA_CA_CERTS=" JAIL_CA_FILE,
	"REQUESTS_CA_BUNDLE=" JAIL_CA_FILE,
	"CURL_CA_BUNDLE=" JAIL_CA_FILE,
	"GIT_SSL_CAINFO=" JAIL_CA_FILE,
	"DENO_CERT=" JAIL_CA_FILE,
	"CARGO_HTTP_CAINFO=" JAIL_CA_FILE,
	"AWS_CA_BUNDLE=" JAIL_CA_FILE,
	"PIP_CERT=" JAIL_CA_FILE,
	"NIX_SSL_CERT_FILE=" JAIL_CA_FILE,
	"PGSSLROOTCERT=" JAIL_CA_FILE,
	"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=" JAIL_CA_FILE,
	"npm_config_cafile=" JAIL_CA_FILE,
	"YARN_HTTPS_CA_FILE_PATH=" JAIL_CA_FILE,
	/* A JDK of Debian finds the file by itself; others are told. */
	"JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=" JAIL_TRUST_FILE
	" -Djavax.net.ssl.trustStoreType=PKCS12"
	" -Djavax.net.ssl.trustStorePassword=changeit",
};

static const char *const defaults[] = {
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C.UTF-8",
	"SHELL=/bin/sh",
};

/* Where the entry of the same name is among the first n; n if nowhere. */
static size_t
find(char *const *env, size_t n, const char *entry)
{
	size_t i, len = strcspn(entry, "=") + 1;

	for (i = 0; i < n; i++)
		if (strncmp(env[i], entry, len) == 0)
			return i;
	return n;
}

char **
jail_env(const struct jail_config *c)
{
	size_t i, at, n = 0, given = 0;
	char **env;

	while (c->env != NULL && c->env[given] != NULL)
		given++;
	env =
	    xcalloc(given + nitems(fixed) + nitems(defaults) + 1, sizeof(*env));
	/* Of two entries with one name, programs disagree which counts. */
	for (i = 0; i < given; i++) {
		if (c->env[i][0] == '=' || strchr(c->env[i], '=') == NULL)
			continue;
		at = find(env, n, c->env[i]);
		if (at < n)
			free(env[at]);
		else
			n++;
		env[at] = xstrdup(c->env[i]);
	}
	for (i = 0; i < nitems(fixed); i++) {
		at = find(env, n, fixed[i]);
		if (at < n)
			free(env[at]);
		else
			n++;
		env[at] = xstrdup(fixed[i]);
	}
	for (i = 0; i < nitems(defaults); i++)
		if (find(env, n, defaults[i]) == n)
			env[n++] = xstrdup(defaults[i]);
	return env;
}

void
jail_env_free(char **env)
{
	size_t i;

	for (i = 0; env != NULL && env[i] != NULL; i++)
		free(env[i]);
	free(env);
}
