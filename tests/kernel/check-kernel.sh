#!/bin/bash
# make check-kernel: the kernel's own tests of seccomp and Landlock, outside
# and inside a jail.  What a test says inside must be what it says outside, but
# for the differences listed in LEVEL.expected beside this script: one
# "SUITE TEST: reason" a line.  Any other difference is a failure, and so is a
# listed one that is not there any more.
#
#   check-kernel.sh LEVEL...    seccomp levels of the jail: default, nested
#
# Root only.  Needs the Debian package linux-source-6.12, of which a few
# folders are unpacked below $BRIG_BUILDDIR/tests/kernel, and libcap-dev.
set -u
: "${BRIG_BUILDDIR:?}" "${BRIG_SRCDIR:?}"
CC=${CC:-gcc}
source=${BRIG_KERNEL_SOURCE-/usr/src/linux-source-6.12.tar.xz}
work=$BRIG_BUILDDIR/tests/kernel
top=linux-source-6.12
selftests=$work/$top/tools/testing/selftests
all="landlock/base_test landlock/net_test landlock/ptrace_test
    landlock/scoped_abstract_unix_test landlock/scoped_signal_test
    landlock/fs_test seccomp/seccomp_bpf"
suites=${BRIG_KERNEL_SUITES-$all}
# A test that waits for what the jail refuses is ended after so many seconds.
patience=4
n=0
bad=0

die()
{
	echo "check-kernel: $*" >&2
	exit 1
}

say()
{
	n=$((n + 1))
	echo "$1 $n - $2"
	[ "$1" = ok ] || bad=1
}

[ "$(id -u)" = 0 ] || die "needs root"
[ -r "$source" ] || die "$source is not there:" \
    "apt-get install linux-source-6.12"
mkdir -p "$work"
chmod 755 "$work"

if [ ! -e "$work/stamp" ]; then
	echo "# unpacking and compiling (log: $work/build.log)"
	tar -xJf "$source" -C "$work" --wildcards \
	    "$top/tools/testing/selftests/seccomp/*" \
	    "$top/tools/testing/selftests/landlock/*" \
	    "$top/tools/testing/selftests/*.h" \
	    "$top/include/uapi/linux/landlock.h" || die "cannot unpack $source"
	sed -i "s/^#define TEST_TIMEOUT_DEFAULT .*/#define TEST_TIMEOUT_DEFAULT $patience/" \
	    "$selftests/kselftest_harness.h"
	# A test that ends early leaves a mount that all later ones trip over.
	sed -i '/^static void prepare_layout(/,/^{/s/^{/{\n\twhile (umount2(TMP_DIR, MNT_DETACH) == 0);\n\trmdir(TMP_DIR);/' \
	    "$selftests/landlock/fs_test.c"
	# Its own landlock.h, and two ioctls newer than Debian's headers.
	mkdir -p "$work/include/linux" "$work/bin"
	cp "$work/$top/include/uapi/linux/landlock.h" "$work/include/linux/"
	for suite in $all landlock/true; do
		(cd "$selftests" && "$CC" -O1 -w -static -I"$work/include" -I. \
		    '-DFS_IOC_GETFSUUID=_IOR(0x15, 0, char[17])' \
		    '-DFS_IOC_GETFSSYSFSPATH=_IOR(0x15, 1, char[129])' \
		    -o "$work/bin/${suite##*/}" "$suite.c" -lcap -lpthread) ||
		    exit 1
	done >"$work/build.log" 2>&1 || die "see $work/build.log"
	touch "$work/stamp"
fi

# results SUITE HOW: the suite run in a fresh folder in one way;
# "ok|bad|skip NAME" lines in $work/SUITE.HOW.
results()
{
	local dir=$work/run

	rm -rf "$dir"
	mkdir "$dir"
	cp "$work/bin/$1" "$work/bin/true" "$dir"
	# The submitter's, who is not root; outside, root without its powers.
	[ "$2" = outside ] || chown -R 1234:1235 "$dir"
	(cd "$dir" && how "$2" "$1") >"$work/$1.$2.log" 2>&1
	awk '/^ok [0-9]+ .*# SKIP/ { print "skip", $3; next }
	    /^ok [0-9]+ / { print "ok", $3 }
	    /^not ok [0-9]+ / { print "bad", $4 }' \
	    "$work/$1.$2.log" >"$work/$1.$2"
	rm -rf "$dir"
}

how()
{
	case $1 in
	outside) unshare -m -n "./$2" ;;
	default) "$BRIG_BUILDDIR/tests/jail/brig-jailtest" -w "$PWD" "./$2" ;;
	# In a user namespace of its own, which is what the level is for.
	nested)
		"$BRIG_BUILDDIR/tests/jail/brig-jailtest" -x nested -w "$PWD" \
		    unshare -r -m -n "./$2"
		;;
	esac
}

# compare SUITE LEVEL
compare()
{
	local state name there reason listed

	declare -A inside=()
	while read -r state name; do
		inside[$name]=$state
	done <"$work/$1.$2"
	while read -r state name; do
		there=${inside[$name]-gone}
		reason=$(awk -v k="$1 $name:" \
		    'index($0, k) == 1 { print substr($0, length(k) + 2) }' \
		    "$expected")
		listed=${reason:+yes}
		case $there.$listed in
		"$state.")
			say ok "$2 $1 $name: $state as outside"
			;;
		"$state.yes")
			# Not decisive where it cannot pass outside either.
			if [ "$state" = ok ]; then
				say "not ok" "$2 $1 $name: listed, but as outside"
			else
				say ok "$2 $1 $name # SKIP $state outside too"
			fi
			;;
		*.yes)
			say ok "$2 $1 $name: $there: $reason"
			;;
		*)
			say "not ok" "$2 $1 $name: $state outside, $there inside"
			;;
		esac
	done <"$work/$1.outside"
	while read -r _ name; do
		grep -q " $name\$" "$work/$1.outside" ||
		    say "not ok" "$2 $1 $name: only inside"
	done <"$work/$1.$2"
}

for suite in $suites; do
	suite=${suite##*/}
	results "$suite" outside
	if grep -q '^ok ' "$work/$suite.outside"; then
		say ok "control: $suite runs outside," \
		    "$(grep -c '^ok ' "$work/$suite.outside") pass"
	else
		say "not ok" "control: $suite runs outside"
		continue
	fi
	for level in "$@"; do
		expected=$BRIG_SRCDIR/tests/kernel/$level.expected
		results "$suite" "$level"
		compare "$suite" "$level"
	done
done
echo "1..$n"
exit $bad
