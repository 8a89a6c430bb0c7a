#!/bin/sh
# Many jobs, many and hostile clients: others are served meanwhile, and
# nothing is left behind in parent and control.
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2154,SC2317 # T comes from lib.sh; called by wait_for
. "${BRIG_SRCDIR:?}/tests/lib.sh"

setup load
write_conf "max-jobs 60"
# Uids that no other test counts.
sed -i "s/^job-uids .*/job-uids 1879300000 200/" "$T/brigd.conf"
cp "$BRIG_SRCDIR/contrib/policies/default.policy" "$T/policy/"
chmod -R go-w "$T/policy"
start_brigd

# pid_of ROLE
pid_of() {
    brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if p['role'] == '$1':
        print(p['pid'])"
}

descriptors() {
    find "/proc/$1/fd" -mindepth 1 | wc -l
}

memory() {
    awk '/^VmRSS/ { print $2 }' "/proc/$1/status"
}

# Everything of a job that could stay: processes, mounts, namespaces.
left() {
    echo "fds $(descriptors "$BRIGD_PID") $(descriptors "$control")"
    echo "children $(wc -w <"/proc/$BRIGD_PID/task/$BRIGD_PID/children")"
    echo "mounts $(wc -l <"/proc/$BRIGD_PID/mountinfo")"
    echo "of job uids $(ps -eo uid= |
        awk '$1 >= 1879300000 && $1 < 1879300200' | wc -l)"
}

# The five processes of brigd and the spare shim, none for a job.
idle() {
    brig --json status | python3 -c '
import json, sys
p = json.load(sys.stdin)["processes"]
sys.exit(len(p) != 6 or any(q["job"] is not None for q in p))'
}

same() {
    left >"$T/after"
    diff "$T/before" "$T/after"
}

control=$(pid_of control)
brig run -- true
wait_for 5 idle
# The last client's connection goes, too.
sleep 0.5
left >"$T/before"
mem_parent=$(memory "$BRIGD_PID")
mem_control=$(memory "$control")

# ---- jobs ---------------------------------------------------------------

i=0
while [ $i -lt 50 ]; do
    i=$((i + 1))
    brig submit -- sh -c 'sleep 1; exit 7' >>"$T/jobs" &
done
wait_for 20 sh -c 'test "$(wc -l <"$T/jobs")" = 50'
i=0
while [ $i -lt 20 ]; do
    i=$((i + 1))
    brig wait "$(head -n 1 "$T/jobs")" >/dev/null 2>&1 &
done
check "all of 50 jobs at once end as they should" sh -c '
    for j in $(cat "$T/jobs"); do
        brig wait "$j"
        test $? = 7 || { brig show "$j"; exit 1; }
    done'
wait_for 10 idle
check "they leave no process, descriptor or mount" wait_for 5 same

i=0
bad=0
while [ $i -lt 40 ]; do
    i=$((i + 1))
    brig run -- true </dev/null || bad=$((bad + 1))
done
check "40 jobs in a row" test $bad = 0
wait_for 10 idle
check "they leave nothing either" wait_for 5 same
check "the parent has not grown by 1 MB" \
    test $(($(memory "$BRIGD_PID") - mem_parent)) -lt 1024
check "control has not grown by 4 MB" \
    test $(($(memory "$control") - mem_control)) -lt 4096

# ---- clients ------------------------------------------------------------

cat >"$T/hostile.py" <<'EOP'
import os, socket, sys, time
path, kind = sys.argv[1], sys.argv[2]
if kind == "many":
    os.setgid(1879000777)
    os.setuid(1879000777)
held = []
def connect():
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(2)
    s.connect(path)
    held.append(s)
    return s
if kind == "many":
    for i in range(600):
        try:
            connect()
        except OSError:
            pass
elif kind == "deaf":
    for i in range(40):
        s = connect()
        try:
            for k in range(4000):
                s.sendall(b'{"v":1,"id":1,"op":"job.list","all":true}\n')
        except OSError:
            pass
print("ready", flush=True)
time.sleep(30)
EOP
chmod 755 "$T/hostile.py" "$T/run"
for kind in many deaf; do
    background python3 "$T/hostile.py" "$T/run/brigd.sock" $kind \
        >"$T/$kind.out" 2>&1
    hostile=$LAST_PID
    sleep 1
    check "$kind clients: others are answered within 2 seconds" \
        timeout 2 brig status
    check "$kind clients: a job runs within 5 seconds" \
        timeout 5 brig run -- true
    stop "$hostile"
done
check "they leave no descriptor" wait_for 5 same
check "control has not grown by 32 MB" \
    test $(($(memory "$control") - mem_control)) -lt 32768
check "it is the same control" test "$(pid_of control)" = "$control"
check "the audit chain verifies" brig audit verify
finish
