#!/bin/sh
# What systemd does with brigd.service: run as root on a machine that systemd
# has booted and that is for nothing else, with brig installed from its unit's
# folders (check-systemd.sh and check-vm.sh make such machines).
#
#   systemd.sh CONFDIR      where brigd.conf and policy.d/ are
# shellcheck disable=SC2016
set -u
conf=${1:?}
unit=brigd.service
n=0
bad=0
T=$(mktemp -d /var/tmp/brig-systemd.XXXXXX)
trap 'rm -rf "$T"' EXIT

say() {
    n=$((n + 1))
    echo "$1 $n - $2"
    [ "$1" = ok ] || bad=1
}

check() {
    check_name=$1
    shift
    check_rc=0
    "$@" >"$T/out" 2>&1 || check_rc=$?
    if [ $check_rc = 0 ]; then
        say ok "$check_name"
    else
        say "not ok" "$check_name"
        echo "# status $check_rc of: $*"
        sed 's/^/# /' "$T/out" | head -n 20
        journalctl -q -u $unit -u inferd -n 8 -o cat 2>/dev/null | sed 's/^/# journal: /'
    fi
}

wait_for() {
    wait_i=$(($1 * 10))
    shift
    until "$@" >/dev/null 2>&1; do
        wait_i=$((wait_i - 1))
        [ $wait_i -gt 0 ] || return 1
        sleep 0.1
    done
}

show() {
    systemctl show -P "$1" $unit
}

is() {
    [ "$1" = "$2" ] || {
        echo "got '$1', wanted '$2'"
        return 1
    }
}

says() {
    grep -qF -- "$1" "$T/run" || {
        cat "$T/run"
        return 1
    }
}

# run PROFILE COMMAND: output in $T/run, status in $rc.
run() {
    run_profile=$1
    shift
    rc=0
    timeout 120 brig run -p "$run_profile" -- sh -c "$@" >"$T/run" 2>&1 \
        </dev/null || rc=$?
}

all='default exec allow;  default read allow;  default write allow;'
cat >"$conf/policy.d/default.policy" <<EOF
profile default { $all  allow model inferd/*; }
profile memory { $all  limit memory 64M; }
profile procs { $all  limit procs 20; }
EOF
v2=/sys/fs/cgroup
[ -e $v2/cgroup.controllers ] || v2=/sys/fs/cgroup/unified
# A container on a host with controllers on v1 has none of them.
grep -q memory $v2/cgroup.controllers || echo 'cgroups off' >>"$conf/brigd.conf"
systemd-sysusers && systemd-tmpfiles --create brig.conf
systemctl daemon-reload

mounts() {
    cut -d ' ' -f 5 /proc/self/mountinfo | sort
}
mounts=$(mounts)

check "users of the processes are made" \
    getent passwd _brig _brigkey _brigaudit _brigfront _brigback \
    _briginfer
check "systemd has nothing against the unit" sh -c \
    '! systemd-analyze verify "$0" 2>&1 | grep -F brigd.service' \
    "$(show FragmentPath)"
check "start ends when brigd is ready" systemctl start $unit
[ $bad = 0 ] || {
    echo "Bail out! no service to try"
    exit 1
}
check "and it answers at once" brig status
check "active" is "$(show ActiveState)/$(show SubState)" active/running
main=$(show MainPID)
check "the main process is brigd's parent" is "$(cat "/proc/$main/comm")" brigd
run default 'id -u; ls -d /workspace'
check "a job runs" is $rc 0

# ---- the groups --------------------------------------------------------
group=$(show ControlGroup)
check "the unit's groups are brigd's to divide" is "$(show Delegate)" yes
brig submit -- sh -c 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done' \
    >"$T/job"
job=$(grep -o 'j-[0-9]*' "$T/job")
wait_for 20 sh -c '[ -n "$(brig logs "$0")" ]' "$job"
if grep -q memory $v2/cgroup.controllers; then
    check "no process is in the unit's own group" \
        is "$(cat "$v2$group/cgroup.procs")" ""
    check "which gives its controllers to those in it" sh -c \
        'read -r all <"$0/cgroup.subtree_control"; for c in cpu io memory pids
        do case " $all " in *" $c "*) ;; *) echo "$c: $all"; exit 1 ;; esac
        done' "$v2$group"
    check "doctor looks where brigd's groups are" sh -c \
        'brig doctor | grep "limit cpu.*in force.*system.slice"'
    of_job=$(find "$v2$group" -type d -name "$job")
    check "a job's group is in the unit's" test -n "$of_job"
    check "with the job's processes, and no other" sh -c \
        'n=0; for p in $(cat "$0"/cgroup.procs "$0"/*/cgroup.procs 2>/dev/null)
        do n=$((n + 1)); u=$(stat -c %u "/proc/$p") || continue
            [ "$u" -ge 1000000 ] || { echo "$p: uid $u"; exit 1; }
        done; [ $n -gt 0 ]' "$of_job"
    run memory 'exec python3 -c "s = b\"x\" * (150 << 20)"'
    check "a job that uses up its memory is killed" is $rc 137
    check "which is said" says "out of memory, limit 64M"
    run procs 'i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done'
    check "more processes than the limit are refused" says "Cannot fork"
    brig pause "$job" >"$T/run" 2>&1
    check "a job is paused" grep -q 'frozen 1' "$of_job/cgroup.events"
    brig resume "$job" >>"$T/run" 2>&1
    check "and resumed" wait_for 5 grep -q 'frozen 0' "$of_job/cgroup.events"
else
    echo "# no controllers on cgroup v2 here: the limits are tried elsewhere"
fi

# ---- reload ------------------------------------------------------------
echo 'profile later { default exec allow; default read allow; }' \
    >"$conf/policy.d/later.policy"
run later true
check "control: a policy that is not there yet is refused" is $rc 125
check "reload" systemctl reload $unit
check "brings new policy in" wait_for 5 brig run -p later -- true
check "and the same main process goes on" is "$(show MainPID)" "$main"
check "and so does a running job" sh -c \
    'a=$(brig logs "$0" | tail -n 1); sleep 1; b=$(brig logs "$0" | tail -n 1)
    [ "$b" -gt "$a" ]' "$job"
echo 'profile broken { exec' >"$conf/policy.d/broken.policy"
systemctl reload $unit
sleep 0.5
check "a policy with a mistake changes nothing" brig run -p later -- true
check "and does not end the service" is "$(show ActiveState)" active
rm "$conf/policy.d/broken.policy"
systemctl reload $unit

# ---- ends of processes -------------------------------------------------
# What ends a job, seen from outside: its processes.
# grep fails when a process ends under it.
of_jobs() {
    grep -l '^Uid:.18791' /proc/[0-9]*/status 2>/dev/null | grep .
}
check "control: processes of the job are seen" of_jobs
keyd=$(pgrep -P "$main" -u _brigkey)
kill -9 "$keyd"
check "a child that dies is started again" wait_for 10 sh -c \
    'p=$(pgrep -P "$0" -u _brigkey) && [ "$p" != "$1" ]' "$main" "$keyd"
check "by brigd, not by systemd" is "$(show MainPID)/$(show NRestarts)" "$main/0"
kill -9 "$main"
check "a parent that dies is started again" wait_for 30 sh -c \
    '[ "$(systemctl show -P NRestarts brigd)" = 1 ] && brig status'
check "as another process" test "$(show MainPID)" != "$main"
check "the jobs of the dead one are ended" wait_for 10 sh -c \
    '! grep -l "^Uid:.18791" /proc/[0-9]*/status 2>/dev/null'
check "and said to be" sh -c 'brig ps -a | grep -F "$0" | grep -v running' "$job"
run default true
check "jobs run again" is $rc 0
check "no group of a job is left" wait_for 10 sh -c \
    '! find /sys/fs/cgroup -type d -name "j-[0-9]*" | grep .'
systemctl reset-failed $unit # the count of starts

main=$(show MainPID)
kill -STOP "$main"
check "a parent that hangs is noticed by the watchdog" wait_for 75 sh -c \
    '[ "$(systemctl show -P NRestarts brigd)" = 1 ] && brig status'
check "and ended" sh -c '! kill -0 "$0" 2>/dev/null' "$main"

# ---- restart and stop --------------------------------------------------
brig submit -- sleep 1000 >/dev/null
wait_for 10 of_jobs
check "restart" systemctl restart $unit
check "answers again" brig status
check "jobs do not outlive it" sh -c \
    '! grep -l "^Uid:.18791" /proc/[0-9]*/status 2>/dev/null'
brig submit -- sh -c 'trap "" TERM HUP INT; (setsid sleep 1000 &) ;
    while :; do sleep 1; done' >/dev/null
wait_for 10 of_jobs
start=$(date +%s)
check "stop with a job that ignores signals" systemctl stop $unit
end=$(date +%s)
check "takes less than the time-out" test $((end - start)) -lt 15
check "and was no failure" is "$(show Result)" success
check "no process of a job is left" sh -c \
    '! grep -l "^Uid:.18791" /proc/[0-9]*/status 2>/dev/null'
check "nor one of brigd" sh -c '! pgrep -l "^(brigd|brig-shim)"'
check "nor a group" sh -c '! find /sys/fs/cgroup -type d -path "*brigd.service*" \
    -print -quit | grep .'
check "nor a mount" is "$(mounts)" "$mounts"
check "nor a file in /run" test ! -e /run/brig

# ---- mistakes ----------------------------------------------------------
cp "$conf/brigd.conf" "$T/saved"
echo 'no-such-directive yes' >>"$conf/brigd.conf"
rc=0
systemctl start $unit 2>"$T/run" || rc=$?
check "a configuration with a mistake does not start" test $rc != 0
check "and the journal names the directive" sh -c \
    'journalctl -q -u brigd -n 20 -o cat | grep no-such-directive'
check "it is not tried for ever" wait_for 30 sh -c \
    '[ "$(systemctl show -P SubState brigd)" = failed ]'
cp "$T/saved" "$conf/brigd.conf"
systemctl reset-failed $unit
check "put right, it starts" systemctl start $unit
systemctl stop $unit

# ---- the local engine --------------------------------------------------
engine=inferd.service
of_engine() {
    systemctl show -P "$1" $engine
}
check "a model of random weights" inferd-mkmodel --layers 2 --vocab 300 \
    /var/lib/inferd/model.gguf
check "systemd has nothing against the engine's unit" sh -c \
    '! systemd-analyze verify "$0" 2>&1 | grep -F inferd.service' \
    "$(of_engine FragmentPath)"
check "start ends when the engine serves" systemctl start $engine
check "and it answers at once" curl -sS --unix-socket \
    /run/inferd/inferd.sock http://inferd.brig/health
main=$(of_engine MainPID)
check "it is a user of its own" is "$(stat -c %U "/proc/$main")" _briginfer
check "in a network of its own" sh -c '
    [ "$(readlink "/proc/$0/ns/net")" != "$(readlink /proc/1/ns/net)" ]' "$main"
check "no thread has a capability, or may make any call" sh -c '
    for t in "/proc/$0"/task/*/status; do
        grep -q "^CapPrm:.0000000000000000$" "$t" &&
            grep -q "^CapBnd:.0000000000000000$" "$t" &&
            grep -q "^Seccomp:.2$" "$t" && grep -q "^NoNewPrivs:.1$" "$t" ||
            exit 1
    done' "$main"
systemctl start $unit
run default 'curl -sS -d "{\"model\":\"model\",\"prompt\":\"x\",
    \"max_tokens\":3}" http://inferd.brig/v1/completions'
check "a job calls the model" says '"usage"'
systemctl stop $unit
check "the engine stops" systemctl stop $engine
check "which was no failure" is "$(of_engine Result)" success
check "its socket is gone" test ! -e /run/inferd
check "its cache is not" is "$(stat -c '%U %a' /var/cache/inferd)" \
    "_briginfer 700"
echo INFERD_MODEL=/nonexistent.gguf >"$conf/inferd.env"
rc=0
systemctl start $engine 2>"$T/run" || rc=$?
check "without a model it does not start" test $rc != 0
check "and the journal names the file" sh -c \
    'journalctl -q -u inferd -n 20 -o cat | grep nonexistent.gguf'
systemctl stop $engine

# ---- whose groups ------------------------------------------------------
mkdir -p /run/systemd/system/$unit.d
printf '[Service]\nDelegate=no\n' >/run/systemd/system/$unit.d/no.conf
echo 'cgroups required' >>"$conf/brigd.conf"
systemctl daemon-reload
if grep -q memory $v2/cgroup.controllers; then
    rc=0
    systemctl start $unit 2>"$T/run" || rc=$?
    check "cgroups required and a unit without Delegate do not start" \
        test $rc != 0
    check "and the journal says what is missing" sh -c \
        'journalctl -q -u brigd -n 20 -o cat | grep "cgroups required: .*cpu"'
    systemctl stop $unit
fi
cp "$T/saved" "$conf/brigd.conf"
rm -r /run/systemd/system/$unit.d
systemctl daemon-reload
echo "1..$n"
exit $bad
