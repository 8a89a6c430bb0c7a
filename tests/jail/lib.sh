# Helpers of the tests of brig-jailtest, to be sourced: they build jails, so
# they skip unless run as root.
#
#   $run                  brig-jailtest; $build: the build folder
#   ok STATUS NAME        one case, passed if STATUS is 0
#   is GOT WANTED NAME    passed if they are the same text
#   skip NAME REASON      one case
#   skip_all REASON       the whole script; before any case
#   finish                the plan line; exit status
# shellcheck shell=bash
build=$(cd "${BRIG_BUILDDIR:-.}" && pwd)
# shellcheck disable=SC2034
run=$build/tests/jail/brig-jailtest
test_n=0
test_bad=0

ok()
{
	test_n=$((test_n + 1))
	if [ "$1" = 0 ]; then
		echo "ok $test_n - $2"
	else
		echo "not ok $test_n - $2"
		test_bad=1
	fi
}

is()
{
	if [ "$1" = "$2" ]; then
		ok 0 "$3"
	else
		ok 1 "$3"
		echo "# got '$1', wanted '$2'"
	fi
}

skip()
{
	test_n=$((test_n + 1))
	echo "ok $test_n - $1 # SKIP $2"
}

skip_all()
{
	echo "1..0 # SKIP $1"
	exit 0
}

finish()
{
	echo "1..$test_n"
	exit $test_bad
}

[ "$(id -u)" = 0 ] || skip_all "needs root"
