#include "proxy/stub_prefix.h"

#include <string.h>

#include "base/str.h"

/*
 * Public prefixes by which vendors, SDKs and secret scanners tell what kind of
 * token it is.  The longest that fits is kept.
 */
static const char *const prefixes[] = { "AIza", "AKIA", "ASIA", "ATATT3",
	"ATCTT3", "GOCSPX-", "SG.", "dapi", "dckr_oat_", "dckr_pat_", "dop_v1_",
	"doo_v1_", "eyJ", "figd_", "ghp_", "gho_", "ghr_", "ghs_", "ghu_",
	"github_pat_", "glpat-", "glptt-", "glrt-", "gldt-", "gsk_", "hf_",
	"hvb.", "hvs.", "key-", "lin_api_", "npm_", "ntn_", "nvapi-", "phc_",
	"phx_", "pk_live_", "pk_test_", "pplx-", "pul-", "pypi-", "r8_",
	"rk_live_", "rk_test_", "rubygems_", "secret_", "shpat_", "sk-",
	"sk-admin-", "sk-ant-", "sk-ant-admin01-", "sk-ant-api03-",
	"sk-ant-oat01-", "sk-ant-ort01-", "sk-or-v1-", "sk-proj-",
	"sk-svcacct-", "sk_live_", "sk_test_", "sntrys_", "sntryu_", "tvly-",
	"whsec_", "xai-", "xapp-", "xoxa-", "xoxb-", "xoxc-", "xoxd-", "xoxe-",
	"xoxe.", "xoxp-", "xoxr-", "xoxs-", "ya29." };

size_t
stub_prefix(const void *value, size_t n)
{
	size_t best = 0;

	for (size_t i = 0; i < nitems(prefixes); i++) {
		size_t len = strlen(prefixes[i]);

		if (len > best && len <= n &&
		    memcmp(value, prefixes[i], len) == 0)
			best = len;
	}
	return best;
}
