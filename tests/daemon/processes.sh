#!/bin/sh
# What brigd's own processes are allowed to be, as the kernel tells it, and
# that each comes back when it is ended.
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2154 # T and BRIGD_PID come from lib.sh
. "${BRIG_SRCDIR:?}/tests/lib.sh"

setup processes
write_conf
cp "$BRIG_SRCDIR/contrib/policies/default.policy" "$T/policy/"
chmod -R go-w "$T/policy"

# pid_of ROLE: of the child that runs it.
pid_of() {
    # shellcheck disable=SC2013 # words are meant: pids in one line
    for pid in $(cat "/proc/$BRIGD_PID/task/$BRIGD_PID/children"); do
        tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null |
            grep -qx "$1" && echo "$pid" && return
    done
}

# field PID NAME: of /proc/PID/status, blanks to one space.
field() {
    awk -v k="$2:" '$1 == k { $1 = ""; sub(/^ /, ""); print }' \
        "/proc/$1/status"
}

is() {
    [ "$(field "$1" "$2")" = "$3" ] || {
        echo "$2 of $1 is '$(field "$1" "$2")', not '$3'"
        return 1
    }
}

confined() {
    p=$(pid_of "$1")
    [ -n "$p" ] || {
        echo "no process $1"
        return 1
    }
    is "$p" Uid "$2 $2 $2 $2" && is "$p" Gid "$2 $2 $2 $2" &&
        is "$p" Groups "" &&
        is "$p" CapEff 0000000000000000 && is "$p" CapPrm 0000000000000000 &&
        is "$p" CapInh 0000000000000000 && is "$p" CapBnd 0000000000000000 &&
        is "$p" CapAmb 0000000000000000 &&
        is "$p" NoNewPrivs 1 && is "$p" Seccomp 2
}

root_is() {
    [ "$(readlink "/proc/$(pid_of "$1")/root")" = "$2" ]
}

# Only sockets, event descriptors and what the role is named to hold.
only_fds() {
    want=$2
    p=$(pid_of "$1")
    for fd in "/proc/$p/fd"/*; do
        to=$(readlink "$fd") || continue
        case $to in
        socket:* | anon_inode:* | /dev/null | pipe:*) ;;
        *)
            echo "$to" | grep -qE "$want" ||
                [ "${fd##*/}" = 2 ] || {
                echo "$1 holds $to"
                return 1
            }
            ;;
        esac
    done
}

comes_back() {
    before=$(pid_of "$1")
    kill -9 "$before"
    wait_for 10 another "$1" "$before" && confined "$1" "$2" &&
        wait_for 10 answers
}

another() {
    now=$(pid_of "$1")
    [ -n "$now" ] && [ "$now" != "$2" ] &&
        [ "$(field "$now" Seccomp)" = 2 ]
}

answers() {
    brig status
}

refuses_second() {
    ! brigd -f "$T/brigd.conf" 2>"$T/second.log" &&
        grep -q "another brigd" "$T/second.log"
}

start_brigd
i=1
for role in control keyd audit dns; do
    check "$role runs as its user without any power" \
        confined $role $((1879099000 + i))
    i=$((i + 1))
done
check "the parent has a filter and cannot gain privileges" \
    is "$BRIGD_PID" Seccomp 2
check "control sees only its own directory" root_is control "$T/state/control"
check "keyd sees an empty directory" root_is keyd "$T/run/empty"
check "audit sees only the log directory" root_is audit "$T/log"
check "control holds its data base and nothing else" \
    only_fds control '/jobs\.db'
check "keyd holds the vault and its key and nothing else" \
    only_fds keyd '(/vault|/vault\.key|memfd:.*)( \(deleted\))?$'
check "audit holds the audit log and nothing else" \
    only_fds audit '/audit\.jsonl$'
check "the empty directory is root's and empty" \
    sh -c '[ -z "$(ls -A "$T/run/empty")" ] &&
        [ "$(stat -c %u:%a "$T/run/empty")" = 0:755 ]'
check "the vault key can be read by root only" \
    sh -c '[ "$(stat -c %u:%a:%s "$T/state/vault.key")" = 0:600:32 ]'
check "a second brigd does not take the socket" refuses_second
i=1
for role in control keyd audit dns; do
    check "$role comes back, confined again" \
        comes_back $role $((1879099000 + i))
    i=$((i + 1))
done
stop_brigd
check "nothing is left of the control socket" \
    sh -c '! [ -e "$T/run/brigd.sock" ]'
finish
