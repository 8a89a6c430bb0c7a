/*
 * inferd: serves quantised Mixture-of-Experts models to agents.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] = "usage: inferd --help | --version\n";

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ NULL, 0, NULL, 0 },
	};

	switch (getopt_long(argc, argv, "hV", options, NULL)) {
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
