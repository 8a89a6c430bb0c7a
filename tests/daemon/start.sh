#!/bin/sh
# What brigd does when something is wrong at its start: one clear line and
# exit status 1, no crash loop; and what a restart keeps.
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2154,SC2317 # T comes from lib.sh; called by check
. "${BRIG_SRCDIR:?}/tests/lib.sh"

setup start
write_conf
cp "$BRIG_SRCDIR/contrib/policies/default.policy" "$T/policy/"
chmod -R go-w "$T/policy"

# refuses TEXT: it ends by itself with status 1 and a line that says so.
refuses() {
    timeout 10 brigd -f "${CONF:-$T/brigd.conf}" 2>"$T/refused"
    refuses_rc=$?
    cat "$T/refused"
    [ "$refuses_rc" = 1 ] && grep -q "$1" "$T/refused"
}

start_brigd
check "a job runs" brig run -- true
check "a second one on the same socket is refused" refuses "another brigd"
sed "s,^socket .*,socket $T/other.sock,; s,^run-dir .*,run-dir $T/run2," \
    "$T/brigd.conf" >"$T/second.conf"
CONF=$T/second.conf
check "a second one on the same state directory is refused" \
    refuses "another brigd uses $T/state"
sed "s,^state-dir .*,state-dir $T/state2," "$T/second.conf" >"$T/third.conf"
CONF=$T/third.conf
check "a second one on the same log directory is refused" \
    refuses "another brigd uses $T/log"
CONF=
check "the first one goes on" brig run -- true

# ---- a bad policy -------------------------------------------------------

cp "$T/policy/default.policy" "$T/good"
echo "profile {" >>"$T/policy/default.policy"
kill -HUP "$BRIGD_PID"
check "a bad policy is not loaded, and logged with its place" \
    wait_for 5 grep -q "default.policy:[0-9]*:" "$T/brigd.log"
check "the old one stays in force" \
    sh -c 'brig run -- true && brig policy show | grep -q "eneration.*1$"'
brig policy reload >"$T/reload.out" 2>&1
check "brig policy reload says where it is wrong" \
    grep -q "default.policy:[0-9]*:" "$T/reload.out"

# ---- restart ------------------------------------------------------------

brig submit -- sleep 100 >"$T/job"
wait_for 5 sh -c 'brig ps | grep -q running'
cat >"$T/policy/default.policy" <<EOP
profile default {
	default exec ask;
}
EOP
check "a policy without mistakes is loaded again" brig policy reload
brig submit -- /bin/echo asked >"$T/asked"
check "an ask is open" wait_for 5 sh -c 'brig asks | grep -q A-1'
stop_brigd
cp "$T/good" "$T/policy/default.policy"
check "the socket is gone with it" test ! -e "$T/run/brigd.sock"
start_brigd
# Killed, if its end was told before control ended.
check "a job that ran is lost" \
    sh -c 'brig ps -a | grep "$(cat "$0") " | grep -q -e lost -e killed' "$T/job"
check "an ask that was open is cancelled" \
    sh -c 'brig asks -a | grep A-1 | grep -q cancelled'
brig submit -- true >"$T/next"
check "numbers go on" test "$(sed 's/j-//' "$T/next")" -gt \
    "$(sed 's/j-//' "$T/asked")"
check "the audit chain goes on and verifies" brig audit verify

kill -9 "$BRIGD_PID"
wait "$BRIGD_PID" 2>/dev/null
check "after kill -9 nothing of it is left" wait_for 5 sh -c \
    '! grep -lz "brigd\|brig-shim" /proc/[0-9]*/cmdline 2>/dev/null |
        while read -r f; do ls -l "${f%/cmdline}/fd" 2>/dev/null; done |
        grep -q "$T/log/audit"'
check "a stale socket is there" test -S "$T/run/brigd.sock"
start_brigd
check "and is no hindrance" brig run -- true
check "the audit log is sound after kill -9" brig audit verify
stop_brigd

# ---- damage -------------------------------------------------------------

cp "$T/log/audit.jsonl" "$T/log.good"
sed -i '2s/brig/brag/' "$T/log/audit.jsonl"
check "a tampered audit log is refused with its place" \
    refuses "audit log: record [0-9]* at byte"
cat "$T/log.good" >"$T/log/audit.jsonl"
head -c 100 /dev/urandom >"$T/garbage"
cp "$T/state/control/jobs.db" "$T/jobs.good"
dd if="$T/garbage" of="$T/state/control/jobs.db" conv=notrunc 2>/dev/null
check "a damaged job store is refused" refuses "jobs.db"
cat "$T/jobs.good" >"$T/state/control/jobs.db"
cp -p "$T/state/vault" "$T/vault.good"
cat "$T/garbage" >"$T/state/vault"
check "a damaged vault is refused" refuses "vault"
cat "$T/vault.good" >"$T/state/vault"
mkdir "$T/bin"
cp "$BRIG_BUILDDIR"/brig-shim "$BRIG_BUILDDIR"/brig-unpack "$T/bin/"
cp "$T/brigd.conf" "$T/brigd.conf.good"
sed -i "s,^shim .*,shim $T/bin/brig-shim," "$T/brigd.conf"
start_brigd
rm "$T/bin/brig-shim"
brig run -- true # the one that waited
check "jobs run with the shim that brigd was started with" \
    sh -c 'for i in 1 2 3; do brig run -- true || exit; done'
stop_brigd
cp "$T/brigd.conf.good" "$T/brigd.conf"
sed "s,^shim .*,shim $T/none," "$T/brigd.conf" >"$T/noshim.conf"
CONF=$T/noshim.conf
check "a missing shim is refused" refuses "shim $T/none"
CONF=
rm "$T/state/vault.key"
check "a missing vault key is not replaced" refuses "vault.key"
finish
