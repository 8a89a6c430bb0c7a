#!/bin/sh
# Every system call there is, made in a jail of each kind, against the table
# that the filters are made from.
build=$(cd "${BRIG_BUILDDIR:-.}" && pwd)
src=$(cd "${BRIG_SRCDIR:-.}" && pwd)
run=$build/tests/jail/brig-jailtest

if [ "$(id -u)" != 0 ]; then
    echo "1..0 # SKIP needs root"
    exit 0
fi
tmp=$(mktemp -d /var/tmp/brig-calls.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
cp "$build/tests/jail/brig-calls" "$src/sandbox/syscalls.tab" "$tmp/"
chmod 755 "$tmp"
n=0
bad=0

# claim NAME COMMAND...
claim() {
    n=$((n + 1))
    claim_name=$1
    shift
    if "$@" >"$tmp/out" 2>&1; then
        echo "ok $n - $claim_name"
    else
        echo "not ok $n - $claim_name"
        bad=1
    fi
    tail -n 40 "$tmp/out" | sed 's/^/# /'
}

claim control_outside_nothing_is_refused \
    "$tmp/brig-calls" "$tmp/syscalls.tab" none
claim every_call_answers_as_in_the_table_default \
    "$run" -w "$tmp" ./brig-calls syscalls.tab default
for level in strict nested; do
    claim "every_call_answers_as_in_the_table_$level" \
        "$run" -w "$tmp" -x $level ./brig-calls syscalls.tab $level
done
# The comparison can fail: one kind of jail against the column of another.
"$run" -w "$tmp" -x strict ./brig-calls syscalls.tab nested >"$tmp/out"
claim control_another_column_differs test $? = 1
echo "1..$n"
exit $bad
