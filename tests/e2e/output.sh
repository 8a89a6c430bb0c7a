#!/bin/sh
# The log of a job's output: its limit, when it came, and its replay.
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2016 # the scripts are for another shell
. "${BRIG_SRCDIR:?}/tests/lib.sh"

setup output
write_conf
cat >"$T/policy/default.policy" <<EOF
profile default { default exec allow; default read allow;
    default write allow; }
profile small { default exec allow; default read allow;
    default write allow; limit output 1M; }
EOF
chmod -R go-w "$T/policy"
start_brigd

# log_size JOB, times_size JOB
log_size() { stat -c %s "$T/state/jobs/${1#j-}/output"; }
times_size() { stat -c %s "$T/state/jobs/${1#j-}/timing"; }
last_job() { brig ps -a | awk 'NR == 2 { print $1 }'; }

# ---- the limit

# A control: what goes through the job is really a gigabyte.
brig run -p small --no-tty -- sh -c 'head -c 1000000000 /dev/zero
    echo >&2 end' 2>"$T/err" </dev/null | wc -c >"$T/count" &
writer=$!
wait_for 10 sh -c 'brig ps | grep -q running'
job=$(last_job)
check "another job runs while one prints a gigabyte" timeout 20 \
    brig run -- true
wait $writer
check "the client got every byte of it, and stderr" sh -c \
    'test "$(cat "$T/count")" = 1000000000 && grep -qx end "$T/err"'
check "the log holds the limit and a line that says so" sh -c '
    test "$0" -le 1048676 && test "$0" -ge 1048576 &&
    brig logs "$1" | tail -n 1 | grep -q "output limit reached"' \
    "$(log_size "$job")" "$job"
check "the times are no larger than that" test "$(times_size "$job")" \
    -le 1048576
check "the audit log tells of the limit, and how much was dropped" sh -c '
    brig audit tail -n 50 --json | grep JB303 | grep -q "\"kept\":1048576" &&
    brig audit tail -n 50 --json | grep JB304 |
        grep -q "\"dropped\":998951428"'
check "a job without limit reached has no such record" sh -c '
    brig run -- echo small </dev/null >/dev/null
    test "$(brig audit tail -n 500 --json | grep -c JB303)" = 1'

# A job that nobody reads, and what its shim holds meanwhile.
mkdir -p "$T/ws"
job=$(brig submit -p small -w "$T/ws" -- sh -c '
    head -c 300000000 /dev/zero; head -c 300000000 /dev/zero >&2
    touch written; while [ ! -e go ]; do sleep 0.1; done')
check "a job that nobody reads prints without end" wait_for 30 \
    test -e "$T/ws/written"
shim=$(brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if p['role'] == 'shim' and p['job'] == '$job':
        print(p['pid'])")
check "the audit log says at once that its output is cut" sh -c '
    brig audit tail -n 50 --json | grep JB303 | grep -q "\"job\":\"*$0\"*[,}]"' \
    "$job"
check "the memory of its shim does not grow with it" sh -c '
    awk "/^VmHWM/ { print; exit \$2 > 24000 }" "/proc/$0/status"' "$shim"
touch "$T/ws/go"
check "it ends as it would" sh -c 'test "$(timeout 20 brig wait "$0"; echo $?)" = 0' \
    "$job"

check "who attaches is on record" sh -c '
    id=$(brig submit -- sleep 1); brig attach -r "$id" </dev/null &&
    brig audit tail -n 50 --json | grep JB105 | grep -q "\"read_only\":true"'

# ---- the times

job=$(brig submit -t -- sh -c 'echo one; sleep 1; echo two >&2; sleep 3
    printf "\303"; sleep 0.1; printf "\244\377\n"')
brig wait "$job"
check "replay: the bytes of the log" sh -c '
    brig replay --speed 1000 "$0" | cmp - "$T/state/jobs/${0#j-}/output"' "$job"
check "replay --json: when they came" python3 -c '
import json, subprocess, sys
out = subprocess.run(["brig", "--json", "replay", sys.argv[1]],
                     stdout=subprocess.PIPE, check=True).stdout
events = [json.loads(line) for line in out.splitlines()]
said = [e for e in events if e["event"] == "output"]
print(events)
assert [e["data"] for e in said] == [
    "one\r\n", "two\r\n", "\u00e4\ufffd\r\n"], said
assert 0.9 < said[1]["time"] - said[0]["time"] < 20, said
assert 2.9 < said[2]["time"] - said[1]["time"] < 30, said
assert events[0]["event"] == "resize" and events[0]["cols"] == 80
assert events[-1]["event"] == "end"
assert events[-1]["job"]["exit"]["code"] == 0
' "$job"
check "replay --max-idle and --speed: shorter pauses" python3 -c '
import json, subprocess, sys
out = subprocess.run(["brig", "--json", "replay", "--max-idle", "0.5",
                      "--speed", "2", sys.argv[1]],
                     stdout=subprocess.PIPE, check=True).stdout
times = [json.loads(line)["time"] for line in out.splitlines()]
print(times)
assert 0.4 < times[-1] < 1.2
' "$job"
check "replay takes the time that it took" sh -c '
    a=$(date +%s%N); brig replay --max-idle 1 "$0" >/dev/null
    b=$(date +%s%N); test $(((b - a) / 1000000)) -ge 1900' "$job"
check "replay --asciicast: a header and events" python3 -c '
import json, subprocess, sys
out = subprocess.run(["brig", "replay", "--asciicast", sys.argv[1]],
                     stdout=subprocess.PIPE, check=True).stdout
lines = [json.loads(line) for line in out.splitlines()]
head, events = lines[0], lines[1:]
print(lines)
assert head["version"] == 2 and head["width"] == 80 and head["height"] == 24
assert head["timestamp"] > 1500000000 and "sleep 1" in head["command"]
assert all(len(e) == 3 and e[1] == "o" for e in events)
assert "".join(e[2] for e in events).startswith("one\r\ntwo\r\n")
' "$job"
if command -v scriptreplay >/dev/null; then
    # It leaves out the first line of what script(1) writes.
    (echo && cat "$T/state/jobs/${job#j-}/output") >"$T/typescript"
    check "scriptreplay of util-linux plays the same times" sh -c '
        scriptreplay -d 100 -T "$T/state/jobs/${0#j-}/timing" \
            -O "$T/typescript" >"$T/o" && grep -q two "$T/o"' "$job"
else
    skip "scriptreplay of util-linux plays the same times" \
        "scriptreplay is not installed"
fi
check "replay: other options are refused" sh -c '
    ! brig replay --speed 0 "$0" && ! brig replay --speed -1 "$0" &&
    ! brig replay --speed nan "$0" && ! brig replay --max-idle x "$0" &&
    ! brig --json replay --asciicast "$0" && ! brig replay j-99999' "$job"
check "byte by byte: the times stay smaller than the log" sh -c '
    id=$(brig submit -- python3 -uc "
import sys
for i in range(20000): sys.stdout.write(chr(97 + i % 26))")
    brig wait "$id"
    test "$(stat -c %s "$T/state/jobs/${id#j-}/timing")" -lt 20000'

# ---- later

stop_brigd
start_brigd
check "another life of brigd: replay and attach still show the job" sh -c '
    brig replay --speed 1000 "$0" | grep -q two && brig attach "$0" | grep -q two' \
    "$job"
check "another user sees neither" sh -c '
    for word in attach replay logs; do
        setpriv --reuid 65534 --regid 65534 --clear-groups \
            brig $word "$0" >"$T/o" 2>&1
        test $? -ne 0 && grep -q "no job" "$T/o" || exit 1
    done' "$job"
finish
