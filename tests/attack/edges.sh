#!/bin/sh
# Attacks at the edges of the system call layer: programs started in odd ways,
# the operator's terminal, signals, descriptors, and floods of executions.
# shellcheck disable=SC2016,SC2012
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-edges
cat >>"$T/policy/default.policy" <<POLICY
profile edges {
    default exec allow;  default read allow;  default write allow;
    deny  exec rm ... because "rm is denied here";
}
profile nested extends edges { sandbox seccomp nested; }
POLICY
brig policy reload >/dev/null
cp "$BRIG_SRCDIR/tests/attack/start.py" "$BRIG_SRCDIR/tests/attack/flood.py" \
    "$T/ws/"
probe=$T/ws/brig-probe

# edge SCRIPT: as a job of profile edges; output in $T/job.out.
edge() {
    timeout "$(bound 90)" brig run -p edges -w "$T/ws" -- sh -c "cd /workspace; $1" \
        >"$T/job.out" 2>&1 </dev/null || :
}

# 64: rm by every way there is to start a program; each removes a file outside.
# trick NAME COMMAND: COMMAND names the file victim of its working directory.
trick() {
    echo precious >"$T/ws/victim"
    (cd "$T/ws" && timeout "$(bound 20)" sh -c "$2" >"$T/outside.out" 2>&1) || :
    if [ -e "$T/ws/victim" ]; then
        skip "64 $1" "outside: $(head -n 1 "$T/outside.out")"
        return
    fi
    echo precious >"$T/ws/victim"
    rm -f "$T/ws/done"
    edge "$2"
    check "64 $1: removes the file outside, not in the jail" \
        test -e "$T/ws/victim"
}
for way in execveat o-path proc-fd dirfd memfd memfd-exec memfd-proc; do
    trick $way "python3 start.py $way victim"
done
loader=$(ls /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1 2>/dev/null |
    head -n 1)
printf '#!/bin/sh\nrm "$@"\n' >"$T/ws/outer"
printf '#!/bin/sh ./outer\n' >"$T/ws/chain"
printf 'rm victim\n' >"$T/ws/rc"
chmod 755 "$T/ws/outer" "$T/ws/chain"
trick "the loader" "$loader /bin/rm victim"
trick "a script" "./outer victim"
trick "a chain of scripts" "./chain victim"
trick BASH_ENV "BASH_ENV=rc bash -c true"
trick ENV "ENV=./rc sh -i </dev/null"
trick find "find . -name victim -exec rm {} +"
trick xargs "echo victim | xargs rm"
trick "a detached session" "setsid -w rm victim"
trick "a double fork" "(setsid sh -c 'sleep 0.2; rm victim; : >done' &)
    until [ -e done ]; do sleep 0.1; done"
trick perl "perl -e 'exec qw(rm victim)'"
trick git "git -c alias.x='!rm victim' x"
# Unlinked copies have no name that a rule could know; what they can reach is
# what any program of the jail can.
echo "$CANARY" >"$T/outside-secret"
check "64 control: the host's file is there" grep -q . "$T/outside-secret"
edge "sed 's#/bin/rm#/bin/cat#; s#.rm.,#\"cat\",#; s#b.rm.#b\"cat\"#' start.py >cat.py
for w in unlinked unlinked-proc; do python3 cat.py \$w $T/outside-secret; done
cp /bin/cat ./nobody-knows; ./nobody-knows $T/outside-secret /etc/shadow"
check "64 a program without a name reaches no more than others" \
    no_canary "$T/job.out"
check "64 denials are recorded" audited EX401 '"rm'

# 66: what a job types must not come out at the terminal of its operator.
operator() {
    timeout "$(bound 60)" python3 "$BRIG_SRCDIR/tests/attack/terminal.py" "$@" \
        >"$T/terminal.out" 2>&1 || :
}
# typed TEXT: exactly this was there to be read.
typed() {
    tr -d '\r' <"$T/terminal.out" | grep -qxF "typed:[$1]" || {
        cat "$T/terminal.out"
        return 1
    }
}
for call in tiocsti tiocsti-high; do
    operator "$probe" $call
    if typed "#" >/dev/null; then
        check "66 $call: control, it types into the terminal outside" true
    else
        skip "66 $call: control" "$(tail -n 1 "$T/terminal.out")"
    fi
    operator brig run -p edges -w "$T/ws" -- /workspace/brig-probe $call
    check "66 $call: refused on a terminal of the job's own" \
        grep -q 'Operation not permitted' "$T/terminal.out"
    check "66 $call: nothing is typed at the operator's" typed ""
    operator brig run --no-tty -p edges -w "$T/ws" -- sh -c \
        "for d in 0 1 2; do /workspace/brig-probe $call <&\$d; done
        /workspace/brig-probe $call </dev/tty"
    check "66 $call: nor from pipes" typed ""
    operator brig run -p nested -w "$T/ws" -- unshare -Ur \
        /workspace/brig-probe $call
    check "66 $call: nor by root of a namespace of its own" typed ""
done
operator "$probe" tioclinux
check "66 tioclinux: control, the kernel looks at it outside" \
    grep -q 'Inappropriate ioctl\|worked' "$T/terminal.out"
operator brig run -p edges -w "$T/ws" -- /workspace/brig-probe tioclinux
check "66 tioclinux: does not get to the kernel" \
    grep -q 'Operation not permitted' "$T/terminal.out"

# 67: signals to the supervisor, and to processes of the host that have the
# very uid of the job.
brig run -w "$T/ws" -- sleep 60 >/dev/null 2>&1 </dev/null &
brig_run=$!
uid=
# The process of a job that is called "sleep", as PID UID.
job_sleep() {
    ps -eo pid,uid,comm | awk -v low="$JOB_UIDS" \
        '$2 >= low && $2 < low + 200 && $3 == "sleep" {print $1, $2; exit}'
}
wait_for 10 sh -c "ps -eo uid,comm | awk '\$1 >= $JOB_UIDS &&
    \$1 < $JOB_UIDS + 200 && \$2 == \"sleep\" {n++} END {exit !n}'"
uid=$(job_sleep | cut -d' ' -f2)
kill $brig_run 2>/dev/null
wait $brig_run 2>/dev/null || :
check "67 control: a job has a uid of the host" test -n "$uid"
# Every uid that the next jobs may get has a process outside.
i=0
pids=
pid_list=
while [ $i -lt 40 ]; do
    setpriv --reuid=$((JOB_UIDS + i)) --regid=65534 --clear-groups \
        sleep 300 &
    pids="$pids $!"
    pid_list="${pid_list:+$pid_list, }$!"
    i=$((i + 1))
done
one=$(echo "$pids" | awk '{print $1}')
wait_for 5 sh -c "grep -q '^Uid:.$JOB_UIDS' /proc/$one/status"
setpriv --reuid="$JOB_UIDS" --regid=65534 --clear-groups kill -0 "$one"
check "67 control: outside, the same uid may signal it" test $? = 0
edge 'trap "" TERM HUP INT; python3 -c "
import os, signal
sent = 0
for p in [-1] + list(range(1, 33000)) + ['"$pid_list"', '"$BRIGD_PID"']:
    if p in (os.getpid(), os.getppid()): continue
    try: os.kill(p, signal.SIGTERM); sent += 1
    except OSError: pass
print(\"sent all\")
"'
check "67 the job tried" job_says "sent all"
alive=0
for p in $pids; do
    kill -0 "$p" 2>/dev/null && alive=$((alive + 1))
done
check "67 no process of the host was reached" test $alive = 40
check "67 nor the supervisor" brig status
for p in $pids; do
    kill "$p" 2>/dev/null
done

# 68: descriptors that the supervisor forgot in the job.
exec 9<"$T/outside-secret"
check "68 control: the client holds one" test -r /proc/$$/fd/9
edge 'python3 -c "
import os
for fd in range(0, 65536):
    try: st = os.fstat(fd)
    except OSError: continue
    print(fd, os.readlink(f\"/proc/self/fd/{fd}\"))
"; cat <&9; env | grep -E "LISTEN_|_FD=|NOTIFY"'
exec 9<&-
check "68 a job has its three descriptors and no other" sh -c '
    test "$(grep -cE "^[0-9]+ " "$0")" = 3 && ! grep -qE "^([3-9]|[0-9]{2,}) " "$0"' \
    "$T/job.out"
check "68 and none of the client's" no_canary "$T/job.out"
check "68 they are pipes and /dev/null" sh -c '
    ! grep -E "^[0-9]+ " "$0" | grep -vE "pipe:|/dev/null"' "$T/job.out"
timeout "$(bound 60)" brig run -w "$T/ws" -- sleep 60 >/dev/null 2>&1 </dev/null &
brig_run=$!
wait_for 10 sh -c "ps -eo uid,comm | awk '\$1 >= $JOB_UIDS &&
    \$1 < $JOB_UIDS + 200 && \$2 == \"sleep\" {n++} END {exit !n}'"
sleep_pid=$(job_sleep | cut -d' ' -f1)
init_pid=$(awk '/^PPid:/ {print $2}' "/proc/$sleep_pid/status")
ls -l "/proc/$init_pid/fd" >"$T/job.out" 2>&1
check "68 pid 1 of the jail holds null, a socket and signals" sh -c '
    grep -q signalfd "$0" &&
    ! grep -e "->" "$0" | grep -vE "/dev/null|socket:|signalfd"' "$T/job.out"
# Every role: nothing of the workspace, no directory but its own root.
brig status --json >"$T/status.json"
python3 - "$T" >"$T/roles.out" 2>&1 <<'CHECK'
import json, os, sys
ws = sys.argv[1] + '/ws'
status = json.load(open(sys.argv[1] + '/status.json'))
seen = 0
for p in status['processes']:
    for fd in os.listdir(f'/proc/{p["pid"]}/fd'):
        try:
            to = os.readlink(f'/proc/{p["pid"]}/fd/{fd}')
        except OSError:
            continue
        seen += 1
        if p['role'] not in ('parent', 'shim') and to.startswith(ws):
            print(p['role'], fd, to)
        if p['role'] in ('front', 'back', 'keyd', 'dns', 'audit') and (
                'pts' in to or 'ptmx' in to):
            print(p['role'], fd, to)
print('seen', seen > 20)
CHECK
kill $brig_run 2>/dev/null
wait $brig_run 2>/dev/null || :
check "68 no role holds what is another's" sh -c '
    test "$(cat "$0")" = "seen True"' "$T/roles.out"

# 69: a flood of executions with signals in the middle.
echo precious >"$T/ws/victim"
(cd "$T/ws" && cp victim keep && timeout "$(bound 60)" python3 flood.py 200 40) \
    >"$T/outside.out" 2>&1
check "69 control: outside it runs, and removes the file" sh -c \
    'grep -q "good ended with 0: 200" "$0" && test ! -e "$1"' \
    "$T/outside.out" "$T/ws/victim"
echo precious >"$T/ws/victim"
before=$(cat "$T"/log/*.jsonl | grep -c EX401)
edge 'python3 flood.py 400 80'
check "69 every allowed one ran" job_says "good ended with 0: 400"
check "69 every denied one was refused" job_says "bad ended with 126: 80"
check "69 the file is still there" test -e "$T/ws/victim"
after=$(cat "$T"/log/*.jsonl | grep -c EX401)
check "69 and each refusal is recorded" test $((after - before)) -ge 80
# Many at once, in two jobs, and brigd answers in the middle of it.
timeout "$(bound 90)" brig run -p edges -w "$T/ws" -- \
    sh -c 'cd /workspace; python3 flood.py 600 60' >"$T/other.out" 2>&1 &
brig_run=$!
edge 'python3 flood.py 600 60 & sleep 0.5; wait'
check "69 two floods at once: refused in one" job_says "bad ended with 126: 60"
wait $brig_run || :
check "69 and in the other" grep -q "bad ended with 126: 60" "$T/other.out"
check "69 the file is still there after both" test -e "$T/ws/victim"
attack_end
