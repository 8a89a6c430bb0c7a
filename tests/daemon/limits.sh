#!/bin/sh
# Limits of jobs that control groups hold: each with a control run without the
# limit, another job that goes on meanwhile, and nothing left behind.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2317
. "$BRIG_SRCDIR/tests/lib.sh"
setup limits

groups() {
    find /sys/fs/cgroup -type d -name 'j-[0-9]*' -path '*/brig-*' 2>/dev/null |
        grep -F "/$1/" || :
}
# run PROFILE COMMAND: output in $T/out, exit status in $rc.
run() {
    run_profile=$1
    shift
    rc=0
    timeout "$(bound 30)" brig run -p "$run_profile" -- sh -c "$@" >"$T/out" 2>&1 \
        </dev/null || rc=$?
}
says() {
    grep -qF -- "$1" "$T/out" || {
        cat "$T/out"
        return 1
    }
}
is() {
    [ "$1" = "$2" ] || {
        echo "got $1, wanted $2"
        return 1
    }
}
audited() {
    grep -q "\"code\":\"$1\".*\"job\":\"$2\"" "$T/log/audit.jsonl"
}

write_conf
all='default exec allow;  default read allow;  default write allow;'
cat >"$T/policy/limits.policy" <<EOF
profile default { $all }
profile memory { $all  limit memory 64M; }
profile procs { $all  limit procs 20; }
profile tiny { $all  limit memory 200K; }
profile disk { $all  limit disk 4M;  limit inodes 100; }
profile files { $all  limit files 40; }
profile slow { $all  limit io 1M; }
profile fast { $all  limit io 100M; }
profile shares { $all  limit cpu 50%;  limit cpu-weight 7;  limit io 10M; }
EOF
start_brigd
name=$(find /sys/fs/cgroup -type d -name "brig-*-$(stat -c %i "$T/state" |
    xargs printf %x)" -exec basename {} \; 2>/dev/null | head -n 1)
if [ -z "$name" ]; then
    skip "limits of jobs are held by cgroups" "no cgroups can be made here"
    finish
fi

# The neighbour: counts on, whatever happens to the others.
neighbour=$(brig submit -- sh -c 'i=0; while :; do i=$((i+1)); echo $i
    sleep 0.1; done')
beats() { brig logs "$neighbour" | tail -n 1; }
wait_for 10 sh -c '[ -n "$(brig logs "$0")" ]' "$neighbour"

hog='exec python3 -c "s = b\"x\" * (150 << 20); print(\"done\")"'
run default "$hog"
check "control: without a limit it gets its memory" says "done"
check "control: and exits with 0" is $rc 0
before=$(beats)
if [ -d "/sys/fs/cgroup/memory" ] || grep -q memory /sys/fs/cgroup/cgroup.controllers; then
    run memory "$hog"
    check "a job that uses up its memory is killed" is $rc 137
    check "and brig run says of what" says \
        "brig: killed: out of memory, limit 64M"
    job=$(brig ps -a --json | grep -o '"j-[0-9]*"' | tr -d '"' | sort -t- -k2n |
        tail -n 1)
    check "its exit says so" wait_for 5 sh -c \
        'brig show "$0" | grep -qF "oom-killed, limit 64M"' "$job"
    check "and the record" audited JB301 "$job"
    run memory "(${hog#exec }); echo inner \$?"
    check "one process may be killed and the job go on" says "inner 137"
    check "brig run has a note of it" says "out of memory: 1 of its processes"
    check "and the status is the job's own" is $rc 0
    run memory 'dd if=/dev/zero of=/tmp/x bs=1M count=100; echo dd $?'
    check "what is written to /tmp counts as memory" says "dd 137"
    run default 'dd if=/dev/zero of=/tmp/x bs=1M count=100; echo dd $?'
    check "control: without a limit it can be written" says "dd 0"
    run memory 'python3 -c "import mmap; mmap.mmap(-1, 1 << 30); print(\"ok\")"'
    check "address space alone is no memory" says ok
    run tiny true
    check "too little for a jail is said to be" says "too little for a jail"
    check "with brig's own status" is $rc 125
fi

bomb='i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all'
run default "$bomb"
check "control: without a limit 40 processes start" says all
run procs "$bomb"
check "more processes than the limit are refused" says "Cannot fork"
job=$(brig ps -a --json | grep -o '"j-[0-9]*"' | tr -d '"' | sort -t- -k2n |
    tail -n 1)
check "that is on record once" wait_for 5 sh -c \
    '[ "$(grep -c "\"JB302\".*\"job\":\"$1\"" "$0")" = 1 ]' \
    "$T/log/audit.jsonl" "$job"
run procs 'b() { b | b & }; b; sleep 1; echo alive'
check "a fork bomb says why it fails" says "Cannot fork"
check "and ends with its job" sh -c \
    '! grep -l "^Uid:.'"${JOB_UIDS%000}"'" /proc/[0-9]*/status 2>/dev/null |
        xargs -r grep -h "^PPid:.1$"'
run disk 'dd if=/dev/zero of=/tmp/x bs=1M count=8; echo dd $?; df -k /tmp |
    tail -n 1'
check "the size of /tmp is limited" says "No space left"
run default 'dd if=/dev/zero of=/tmp/x bs=1M count=8; echo dd $?'
check "control: without a limit it holds more" says "dd 0"
run disk 'cd /tmp; i=0; while [ $i -lt 200 ]; do true >f$i || break; i=$((i+1))
    done; echo files $i'
check "and how many files it has" sh -c \
    'says=$(grep -o "files [0-9]*" "$0"); [ "${says#files }" -lt 100 ]' \
    "$T/out"
run disk 'truncate -s 1T /tmp/sparse; echo t $?; dd if=/dev/zero \
    of=/tmp/sparse bs=1M count=8 conv=notrunc seek=999; echo dd $?'
check "a sparse file gets no more blocks than there are" says "dd 1"
run files 'i=3; while [ $i -lt 100 ]; do eval "exec $i</dev/null" || break
    i=$((i+1)); done; echo got $i'
check "open files are limited" sh -c '! grep -q "got 100" "$0"' "$T/out"
run shares 'awk "/slice|cpu/" /proc/self/cgroup; echo ran'
check "cpu and io limits are taken" says ran
# A disk is as slow as it is told, at least.  Version 1 holds direct writes
# only; a jail's /tmp is in memory.
mkdir "$T/disk" && chmod 777 "$T/disk"
# spend PROFILE: milliseconds of writing 3 MiB into the workspace, as dd says.
spend() {
    timeout "$(bound 60)" brig run -p "$1" -w "$T/disk" -- env LC_ALL=C dd \
        if=/dev/zero of=file bs=1M count=3 oflag=direct conv=fsync >"$T/out" 2>&1 </dev/null
    rc=$?
    ms=$(awk '/copied/ { print int($(NF - 3) * 1000) }' "$T/out")
}
if findmnt -n -o SOURCE -T "$T/disk" | grep -q ^/dev && {
    grep -q -w io /sys/fs/cgroup/cgroup.controllers 2>/dev/null ||
        [ -d /sys/fs/cgroup/blkio ]
}; then
    spend slow
    check "a job writes no faster than limit io" sh -c \
        '[ "$0" = 0 ] && [ "$1" -gt 2000 ]' $rc "$ms"
    # The disk has other users: what is to be seen is that it can.
    for _ in 1 2 3 4 5; do
        spend fast
        [ "$rc" != 0 ] || [ "${ms:-2000}" -ge 2000 ] || break
    done
    check "control: with a higher limit it does" sh -c \
        '[ "$0" = 0 ] && [ "$1" -lt 2000 ]' $rc "$ms"
    job=$(brig submit -p slow -- sleep 100)
    check "what is held is said" wait_for 10 sh -c \
        'brig show "$0" | grep -q "^limits *enforced"' "$job"
    brig show "$job" >"$T/out"
    brig kill "$job"
    if [ -d /sys/fs/cgroup/blkio ]; then
        check "and what version 1 does not hold" says "cgroup v1"
    else
        check "with nothing left out" sh -c '! grep "enforced, but" "$0"' \
            "$T/out"
    fi
else
    skip "a job writes no faster than limit io" "no disk, or no controller"
fi

after=$(beats)
check "another job went on all the time" [ "$after" -gt "$before" ]

# Pause: also a job that waits, and one that is killed meanwhile.
brig pause "$neighbour"
sleep 0.3
still=$(beats)
sleep 0.5
check "a paused job stands still" is "$(beats)" "$still"
brig ps >"$T/out"
check "and is shown as paused" says paused
brig resume "$neighbour"
check "it goes on when it is resumed" wait_for 10 sh -c \
    '[ "$(brig logs "$0" | tail -n 1)" -gt "$1" ]' "$neighbour" "$still"
brig pause "$neighbour"
brig kill -s KILL "$neighbour"
rc=0
timeout "$(bound 10)" brig wait "$neighbour" >/dev/null 2>&1 || rc=$?
check "a paused job can be killed" is $rc 137
check "pause of a job that has ended is refused" sh -c \
    '! brig pause "$0" 2>/dev/null' "$neighbour"

check "no group of a job is left" wait_for 5 sh -c \
    "[ -z \"\$(find /sys/fs/cgroup -path '*/$name/j-*' 2>/dev/null)\" ]"

# A daemon that is killed leaves groups; the next one removes them.
brig submit -- sleep 100 >/dev/null
wait_for 10 sh -c 'brig ps | grep -q running'
check "control: the running job has a group" test -n "$(groups "$name")"
kill -9 "$BRIGD_PID"
wait "$BRIGD_PID" 2>/dev/null
sleep 0.3
start_brigd
check "what a killed daemon left is removed at the next start" is \
    "$(groups "$name")" ""
j=$(brig submit -- sleep 100)
wait_for 10 sh -c 'brig ps | grep -q running'
shim=$(brig status --json | tr -d ' \n' |
    grep -o '{[^{}]*"role":"shim"[^{}]*}' | grep "\"job\":\"*$j\|\"job\":${j#j-}" |
    grep -o '"pid":[0-9]*' | head -n 1 | cut -d: -f2)
if [ -n "$shim" ]; then
    kill -9 "$shim"
    timeout "$(bound 10)" brig wait "$j" >/dev/null 2>&1 || :
    check "a job whose shim is killed leaves no group" wait_for 5 sh -c \
        "[ -z \"\$(find /sys/fs/cgroup -path '*/$name/j-*' 2>/dev/null)\" ]"
else
    not_ok "the shim of the job is in brig status"
fi
stop_brigd
check "a daemon that stops leaves no group at all" is \
    "$(find /sys/fs/cgroup -type d -name "$name" 2>/dev/null)" ""

# Without cgroups.
write_conf "cgroups off"
start_brigd
run procs 'echo ran'
check "cgroups off: limits are per process and jobs run" says ran
stop_brigd
write_conf "cgroups auto"
sed -i '/^cgroup-parent/d' "$T/brigd.conf"
echo "cgroup-parent /no-such-group" >>"$T/brigd.conf"
check "a parent group that is not there is an error at the start" sh -c \
    '! brigd -n -f "$0" 2>"$1" && grep -q "no-such-group.*cgroups off" "$1"' \
    "$T/brigd.conf" "$T/out"
write_conf "job-uids-x 1 2"
printf 'max-jobs 300\n' >>"$T/brigd.conf"
sed -i '/job-uids-x/d' "$T/brigd.conf"
check "fewer job uids than jobs are an error at the start" sh -c \
    '! brigd -n -f "$0" 2>"$1" && grep -q "too few for max-jobs 300" "$1"' \
    "$T/brigd.conf" "$T/out"
finish
