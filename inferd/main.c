/*
 * inferd: serves quantised Mixture-of-Experts models to agents.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "inferd/check.h"

static const char usage[] =
    "usage: inferd --check MODEL [--vocab-only] [--json]\n"
    "              [--seal [--manifest FILE]]\n"
    "       inferd --help | --version\n";

enum {
	OPT_CHECK = 256,
	OPT_JSON,
	OPT_SEAL,
	OPT_MANIFEST,
	OPT_VOCAB
};

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "check", required_argument, NULL, OPT_CHECK },
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, OPT_JSON },
		{ "manifest", required_argument, NULL, OPT_MANIFEST },
		{ "seal", no_argument, NULL, OPT_SEAL },
		{ "version", no_argument, NULL, 'V' },
		{ "vocab-only", no_argument, NULL, OPT_VOCAB },
		{ NULL, 0, NULL, 0 },
	};
	struct model_opts opts = { .scan = true };
	const char *check = NULL;
	bool json = false;
	int c;

	while ((c = getopt_long(argc, argv, "hV", options, NULL)) != -1) {
		switch (c) {
		case OPT_CHECK:
			check = optarg;
			break;
		case OPT_JSON:
			json = true;
			break;
		case OPT_MANIFEST:
			opts.manifest = optarg;
			break;
		case OPT_SEAL:
			opts.seal = true;
			break;
		case OPT_VOCAB:
			opts.vocab_only = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_SUCCESS;
		case 'V':
			puts("inferd " PACKAGE_VERSION);
			return EXIT_SUCCESS;
		default:
			fputs(usage, stderr);
			return EXIT_FAILURE;
		}
	}
	if (check == NULL || optind != argc) {
		fputs(usage, stderr);
		return EXIT_FAILURE;
	}
	return check_model(check, &opts, json);
}
