/*
 * `brig policy` alone, for the tests.
 */
#include "daemon/cli.h"

int
main(int argc, char **argv)
{
	struct cli cli = { 0 };

	return cmd_policy(&cli, argc, argv);
}
