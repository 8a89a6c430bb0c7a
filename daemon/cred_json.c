#include "daemon/cred_json.h"

#include <stdlib.h>
#include <string.h>

#include "base/str.h"

static void
put_text(json_t *o, const char *key, const char *s)
{
	if (s[0] != '\0')
		json_object_set_new(o, key, json_string(s));
}

void
cred_json_put(json_t *o, const struct cred_spec *s)
{
	json_t *hosts = json_array(), *surfaces = json_array();
	cleanup_free char *capture = cred_capture_format(s);
	cleanup_free char *hmac = cred_hmac_format(s);

	for (size_t i = 0; i < s->nhosts; i++) {
		char text[CRED_HOST_TEXT];

		cred_host_format(&s->hosts[i], text);
		json_array_append_new(hosts, json_string(text));
	}
	for (uint32_t bit = 1; bit <= SURFACE_ALL; bit <<= 1) {
		char text[CRED_SURFACE_TEXT];

		if ((s->surfaces & bit) == 0)
			continue;
		cred_surface_format(s, bit, text);
		json_array_append_new(surfaces, json_string(text));
	}
	json_object_set_new(o, "kind", json_string(cred_kind_name(s->kind)));
	json_object_set_new(o, "hosts", hosts);
	json_object_set_new(o, "surfaces", surfaces);
	put_text(o, "user", s->user);
	put_text(o, "env", s->env);
	if (s->inject) {
		json_object_set_new(o, "inject", json_true());
		json_object_set_new(o, "scheme", json_string(s->scheme));
	}
	put_text(o, "capture", capture);
	put_text(o, "region", s->region);
	put_text(o, "service", s->service);
	put_text(o, "hmac", hmac);
}

/* The string member key; "" if missing, NULL and err if not a string. */
static const char *
text_of(const json_t *o, const char *key, struct error *err)
{
	const json_t *v = json_object_get(o, key);

	if (v == NULL || json_is_null(v))
		return "";
	if (!json_is_string(v) ||
	    strlen(json_string_value(v)) != json_string_length(v)) {
		error_set(err, 0, "\"%s\" must be a string", key);
		return NULL;
	}
	return json_string_value(v);
}

static int
get_text(
    const json_t *o, const char *key, char *dst, size_t size, struct error *err)
{
	const char *s = text_of(o, key, err);

	if (s == NULL)
		return -1;
	if (strlcpy(dst, s, size) >= size)
		return error_set(err, 0, "\"%s\" is too long", key);
	return 0;
}

typedef int parse_fn(struct cred_spec *s, const char *text, struct error *err);

static int
get_list(const json_t *o, const char *key, parse_fn *fn, struct cred_spec *s,
    struct error *err)
{
	const json_t *list = json_object_get(o, key), *v;
	size_t i;

	if (list != NULL && !json_is_array(list))
		return error_set(err, 0, "\"%s\" must be a list", key);
	json_array_foreach(list, i, v)
	{
		if (!json_is_string(v))
			return error_set(
			    err, 0, "\"%s\" must be a list of strings", key);
		if (fn(s, json_string_value(v), err) < 0)
			return -1;
	}
	return 0;
}

static int
get_parsed(const json_t *o, const char *key, parse_fn *fn, struct cred_spec *s,
    struct error *err)
{
	const char *text = text_of(o, key, err);

	if (text == NULL)
		return -1;
	return text[0] == '\0' ? 0 : fn(s, text, err);
}

static int
get_kind(const json_t *o, struct cred_spec *s, struct error *err)
{
	const char *text = text_of(o, "kind", err);

	if (text == NULL)
		return -1;
	if (text[0] != '\0' && cred_kind_parse(text, &s->kind) < 0)
		return error_set(err, 0,
		    "a kind is token, sigv4, hmac, mtls, ssh, postgres or "
		    "proxy");
	return 0;
}

int
cred_json_get(const json_t *o, struct cred_spec *s, struct error *err)
{
	const json_t *inject = json_object_get(o, "inject");

	memset(s, 0, sizeof(*s));
	if (inject != NULL && !json_is_boolean(inject))
		return error_set(err, 0, "\"inject\" must be true or false");
	s->inject = json_is_true(inject);
	if (get_kind(o, s, err) < 0 ||
	    get_list(o, "hosts", cred_host_parse, s, err) < 0 ||
	    get_list(o, "surfaces", cred_surface_parse, s, err) < 0 ||
	    get_text(o, "env", s->env, sizeof(s->env), err) < 0 ||
	    get_text(o, "scheme", s->scheme, sizeof(s->scheme), err) < 0 ||
	    get_parsed(o, "capture", cred_capture_parse, s, err) < 0 ||
	    get_text(o, "region", s->region, sizeof(s->region), err) < 0 ||
	    get_text(o, "service", s->service, sizeof(s->service), err) < 0 ||
	    get_parsed(o, "hmac", cred_hmac_parse, s, err) < 0)
		return -1;
	/* "basic:USER" may have said it already. */
	if (json_object_get(o, "user") != NULL &&
	    get_text(o, "user", s->user, sizeof(s->user), err) < 0)
		return -1;
	cred_spec_defaults(s, json_object_get(o, "scheme") != NULL);
	return cred_spec_check(s, err);
}
