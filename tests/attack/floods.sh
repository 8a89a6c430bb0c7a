#!/bin/sh
# Using up the host: disk, names, descriptors, processes, memory, output and
# the audit log.  What a job gets is limited, and others go on meanwhile.
# shellcheck disable=SC2016,SC2317
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-floods
cat >>"$T/policy/default.policy" <<'EOF'
profile small {
    default exec allow;  default read allow;  default write allow;
    limit memory 200M;  limit procs 60;  limit files 100;
    limit disk 16M;  limit inodes 500;  limit output 1M;
}
EOF
brig policy reload >/dev/null
cp "$BRIG_SRCDIR/tests/attack/flood_all.py" "$T/ws/flood.py"

# flood PROFILE WHAT
flood() {
    timeout "$(bound 120)" brig run -p "$1" -w "$T/ws" -- \
        python3 /workspace/flood.py "$2" >"$T/out.$2" 2>"$T/job.out" \
        </dev/null || :
}
# had NAME TEST NUMBER: every line of NAME counts so much.
had() {
    awk -v "n=$1" -v "op=$2" -v "want=$3" '
        index($0, n " ") == 1 { count = $(NF - 1); lines++
            if (op == "<" ? count < want : count >= want) good++ }
        END { exit !(lines > 0 && good == lines) }' "$T/job.out" || {
        cat "$T/job.out"
        return 1
    }
}
other() {
    wc -l <"$T/other.out"
}

# The job that is not to notice.
background timeout "$(bound 300)" brig run -p small -w "$T/ws" -- \
    sh -c 'while :; do true >/tmp/beat && echo beat; sleep 0.1; done' \
    >"$T/other.out"
OTHER_PID=$LAST_PID
wait_for 10 grep -q beat "$T/other.out"

flood default files
check "60 control: without limits the files are had" had bytes ">=" 64
check "60 control: and the names" had names ">=" 2000
flood default kernel
check "60 control: and the descriptors" had descriptors ">=" 400
check "60 control: and the processes" had processes ">=" 200
flood default memory
check "60 control: and the memory" had memory ">=" 400
flood default output
check "60 control: and the log grows with the output" sh -c '
    find "$0" -type f -size +16M ! -name "out.*" | grep .' "$T"

before=$(other)
flood small files
check "60 the job got to its end" job_says flooded-60
check "60 each place holds what it may" had bytes "<" 17
check "60 a sparse file holds no more" had sparse "<" 17
check "60 nor more names" had names "<" 500
flood small kernel
check "60 descriptors end at the limit" had descriptors "<" 100
check "60 processes end at the limit" had processes "<" 60
check "60 and the job went on" job_says flooded-60
flood small memory
check "60 memory ends at the limit" sh -c '
    ! grep "^memory.*all" "$0"' "$T/job.out"
find "$T" -type f -size +1100k >"$T/long-before"
flood small output
check "60 the job gets rid of its output" job_says flooded-60
check "60 the client gets all of it" sh -c '
    test "$(wc -c <"$0")" -ge 67108864' "$T/out.output"
check "60 no log is longer than it may be" sh -c '
    ! find "$0" -type f -size +1100k ! -name "out.*" |
        grep -v -x -F -f "$0/long-before"' "$T"
after=$(other)
check "60 the other job went on all the time" test "$after" -gt "$before"
check "60 and goes on" wait_for 5 sh -c '
    test "$(wc -l <"$0")" -gt "$1"' "$T/other.out" "$after"

# The audit log: as many executions as there is time for.
size_before=$(cat "$T"/log/*.jsonl | wc -c)
started=$(date +%s)
job 'n=0; while [ $n -lt 3000 ]; do /bin/true; n=$((n + 1)); done
    echo flooded-60' || :
check "60 the executions took place" job_says flooded-60
size_after=$(cat "$T"/log/*.jsonl | wc -c)
# One by one they would be 3 MB; repetitions are told each second, in two
# records.
took=$(($(date +%s) - started))
check "60 3000 executions are few records" \
    test $((size_after - size_before)) -lt $((100000 + took * 3000))
echo "# $((size_after - size_before)) bytes in $took seconds"
cat >"$T/count.py" <<'EOF'
import json, sys
n = 0
for name in sys.argv[1:]:
    for line in open(name):
        r = json.loads(line)
        if '/true' in line and str(r.get('code', '')).startswith('EX1'):
            n += r.get('dec', {}).get('count', 1)
sys.exit(f'{n} executions on record' if n < 3000 else 0)
EOF
check "60 that say how many there were" python3 "$T/count.py" "$T"/log/*.jsonl
stop "$OTHER_PID"
attack_end
