#!/bin/bash
# What a program in a jail can see and reach is what whatcanisee.expected says,
# line by line; outside it sees more.  With BRIG_UPDATE=1 the list is written
# anew: look at the difference as an attacker would before it is committed.
#
# Lines that begin with "[kernel] " are compared only on the kernel that the
# list was made on, which its first line names.  Those with "[host] " depend on
# the packages and the memory of a host; they are for the reader.
set -u
: "${BRIG_BUILDDIR:?}" "${BRIG_SRCDIR:?}"
program=$BRIG_BUILDDIR/tests/jail/whatcanisee
expected=$BRIG_SRCDIR/tests/jail/whatcanisee.expected

if [ "$(id -u)" != 0 ]; then
	echo "1..0 # SKIP needs root"
	exit 0
fi
tmp=$(mktemp -d /var/tmp/brig-see.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir "$tmp/ws"
cp "$program" "$tmp/ws/"
readlink /proc/self/ns/* >"$tmp/ws/host"
chown -R 1234:1235 "$tmp/ws"
version=$(uname -r)

"$BRIG_BUILDDIR/tests/jail/brig-jailtest" -w "$tmp/ws" \
	./whatcanisee host </dev/null 2>&1 | cat >"$tmp/inside"
if [ -n "${BRIG_UPDATE-}" ]; then
	{
		echo "kernel: $version"
		cat "$tmp/inside"
	} >"$expected"
fi
made=$(sed -n 's/^kernel: //p' "$expected")
comparable()
{
	if [ "$made" = "$version" ]; then
		grep -v -e '^kernel: ' -e '^\[host\] '
	else
		grep -v -e '^kernel: ' -e '^\[host\] ' -e '^\[kernel\] '
	fi
}
comparable <"$expected" >"$tmp/want"
comparable <"$tmp/inside" >"$tmp/got"

n=0
bad=0
say()
{
	n=$((n + 1))
	echo "$1 $n - $2"
	[ "$1" = ok ] || bad=1
}

if diff -u "$tmp/want" "$tmp/got" >"$tmp/diff"; then
	say ok "a jail shows what is expected, $(wc -l <"$tmp/got") facts"
else
	say "not ok" "a jail shows what is expected"
	sed 's/^/# /' "$tmp/diff" | head -n 60
fi

# What brigd was started with does not reach a job: as "sees" says, a process
# started like this has it.
odd=(setarch -R)
for try in "nice -n -5" "chrt -f 5" "ionice -c 1"; do
	# shellcheck disable=SC2086,SC2206 # words
	$try true 2>/dev/null && odd+=($try)
done
(
	umask 0
	"${odd[@]}" sh -c 'grep -q 00040000 /proc/self/personality &&
		umask' | grep -q 0000 && : >"$tmp/sees"
	"${odd[@]}" "$BRIG_BUILDDIR/tests/jail/brig-jailtest" -w "$tmp/ws" \
		./whatcanisee host </dev/null 2>&1 | cat >"$tmp/odd"
)
comparable <"$tmp/odd" >"$tmp/got"
if ! [ -e "$tmp/sees" ]; then
	say "not ok" "control: a process inherits what it was started with"
elif diff -u "$tmp/want" "$tmp/got" >"$tmp/diff"; then
	say ok "and nothing else below ${odd[*]}"
else
	say "not ok" "and nothing else below ${odd[*]}"
	sed 's/^/# /' "$tmp/diff" | head -n 60
fi

# The control: the same program with root's eyes, which only looks.
(cd "$tmp/ws" && timeout 120 ./whatcanisee -l host </dev/null) \
	>"$tmp/outside" 2>&1
control()
{
	if grep -q "$2" "$tmp/inside"; then
		say "not ok" "$1 (inside)"
	elif grep -q "$2" "$tmp/outside"; then
		say ok "$1 (outside only)"
	else
		say ok "$1 # SKIP not to be seen outside either"
	fi
}
control "namespaces of the host" "the host's"
control "capabilities" "CapEff: .*[1-9a-f]"
control "the host's uptime" "up for: longer"
control "sysfs" "^in /: sys"
control "writable system folders" "writable directory: /usr/bin"
control "netlink beside routes" "socket netlink audit: ok"
control "raw sockets" "socket inet raw: ok"
control "the environment of pid 1" "pid 1 environ: ok"
control "block devices" "^device to write: /dev/[svx]d[a-z]"
control "sysfs to read" "read /sys: ok"
echo "1..$n"
exit $bad
