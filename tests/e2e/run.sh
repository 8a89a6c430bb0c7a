#!/bin/sh
# The command as people use it: streams, status, signals, terminals, jobs,
# secrets, asks.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup run
attack_policy "ask http POST https://good.test:$GOOD/deploy;"
cat >>"$T/policy/default.policy" <<EOF
profile quick { default exec allow; default read allow; default write allow;
    ask exec date ...; ask timeout 2s then deny; }
profile slow { default exec allow; default read allow; default write allow;
    ask exec date ...; ask timeout 60s then deny; }
EOF
brig policy reload >/dev/null

# status WANT COMMAND...
status() {
    status_want=$1
    shift
    status_rc=0
    timeout "$(bound 30)" "$@" >"$T/o" 2>&1 </dev/null || status_rc=$?
    echo "status $status_rc, want $status_want"
    cat "$T/o"
    [ "$status_rc" = "$status_want" ]
}
check "exit status passes" status 7 brig run -- sh -c 'exit 7'
check "a signal is 128 + n" status 143 brig run -- sh -c 'kill -TERM $$'
check "stdout and stderr are apart" sh -c '
    brig run -- sh -c "echo out; echo err >&2" >"$T/1" 2>"$T/2" </dev/null
    grep -qx out "$T/1" && grep -qx err "$T/2" && ! grep -q err "$T/1"'
check "stdin passes, 3 MB, byte for byte" sh -c '
    head -c 3000000 /dev/urandom >"$T/in"
    brig run -- cat <"$T/in" >"$T/out"; cmp "$T/in" "$T/out"'
check "a closed stdin is an end of file" sh -c 'brig run -- cat </dev/null'
signalled() {
    background brig run -- sh -c 'trap "echo got; exit 9" TERM; echo ready
        while :; do sleep 0.1; done' >"$T/o" 2>&1 </dev/null
    wait_for 10 grep -q ready "$T/o" || return 1
    kill -TERM "$LAST_PID"
    wait "$LAST_PID" || :
    grep -q got "$T/o"
}
check "a signal to brig run reaches the job" signalled
check "the environment: --env passes, the caller's own does not" sh -c '
    SECRETIVE=1 brig run --env A=b -- env >"$T/o" </dev/null
    grep -qx A=b "$T/o" && ! grep -q SECRETIVE "$T/o" &&
    grep -q "^HOME=/home/" "$T/o"'
check "on a terminal: a pty with a size and a controlling terminal" sh -c '
    script -qec "stty rows 33 cols 77; brig run -- sh -c \"tty; stty size; test -c /dev/tty\"" /dev/null >"$T/o" 2>&1 </dev/null
    grep -q "/dev/pts/" "$T/o" && grep -q "33 77" "$T/o"'
check "workspace: files come and go with their owner" sh -c '
    echo in >"$T/ws/a"; brig run -w "$T/ws" -- sh -c "cat a 2>/dev/null || cat /workspace/a; echo out >/workspace/b" >"$T/o"
    grep -qx in "$T/o" && grep -qx out "$T/ws/b" &&
    test "$(stat -c %u "$T/ws/b")" = "$(stat -c %u "$T/ws")"'

check "submit, ps, show, wait, logs" sh -c '
    id=$(brig submit -- sh -c "echo hello; sleep 1; exit 3"); brig ps | grep -q "$id"
    brig show "$id" | grep -q "sleep 1"
    brig wait "$id"; test $? = 3 && brig logs "$id" | grep -qx hello &&
    brig ps -a | grep "$id" | grep -q done'
check "logs -f follows to the end" sh -c '
    id=$(brig submit -- sh -c "for i in 1 2 3; do echo line \$i; sleep 0.3; done")
    timeout '"$(bound 20)"' brig logs -f "$id" >"$T/o"; test "$(grep -c line "$T/o")" = 3'
check "kill ends the whole tree" sh -c '
    id=$(brig submit -- sh -c "setsid sleep 300 & sleep 300"); sleep 0.5
    brig kill -s KILL "$id"; timeout '"$(bound 10)"' brig wait "$id"; test $? -ge 128'
for listing in ps "ps -a" "secret list" asks "asks -a" status; do
    check "--json on $listing" sh -c \
        'brig --json '"$listing"' | python3 -c "import json,sys; json.load(sys.stdin)"'
done
for word in run submit ps show logs wait kill secret policy asks approve deny \
    audit status doctor; do
    check "help for $word" sh -c 'brig '$word' --help 2>&1 | grep -qi "usage"'
done
check "doctor says what is enforced" sh -c 'brig doctor | grep -qi landlock'

G="https://good.test:$GOOD"
post='curl -sS -X POST -H "Authorization: Bearer $GOOD_TOKEN" '"$G/deploy"
background timeout "$(bound 60)" brig run -- sh -c "$post" >"$T/post.out" 2>&1
poster=$LAST_PID
check "ask on http: it waits" wait_for 10 sh -c 'brig asks | grep -q A-'
check "ask on http: nothing has reached the origin" not_reached good.test /deploy
id=$(brig asks | grep -o 'A-[0-9]*' | head -n 1)
check "ask on http: the approver sees the request" sh -c \
    'brig --json asks | grep -q "POST.*/deploy"'
check "ask on http: approved" brig approve "$id"
wait "$poster"
check "ask on http: then it happens" reached good.test /deploy
check "ask on http: a second answer is refused" sh -c '! brig approve "$0" 2>/dev/null' "$id"
background timeout "$(bound 60)" brig run -p slow -- date >"$T/date.out" 2>&1
dater=$LAST_PID
check "ask on exec: it waits" wait_for 10 sh -c 'brig asks | grep -q A-'
id=$(brig asks | grep -o 'A-[0-9]*' | head -n 1)
brig deny "$id" -m "not today" >/dev/null
rc=0
wait "$dater" || rc=$?
check "ask on exec: denied is 126, with the reason" sh -c \
    'test $0 = 126 && grep -q "not today" "$T/date.out"' $rc
background timeout "$(bound 60)" brig run -p slow -- date +%Y >"$T/date.out" 2>&1
dater=$LAST_PID
wait_for 10 sh -c 'brig asks | grep -q A-'
id=$(brig asks | grep -o 'A-[0-9]*' | head -n 1)
check "ask on exec: approved" brig approve "$id"
wait "$dater" || :
check "ask on exec: and it runs" grep -qE '^20[0-9][0-9]$' "$T/date.out"
check "an ask that nobody answers is a deny" status 126 brig run -p quick -- date
check "and is on record as a time-out" sh -c 'brig asks -a | grep -q timeout'

auth='-H "Authorization: Bearer $GOOD_TOKEN"'
brig submit -w "$T/ws" -- sh -c "curl -sS $auth $G/one >/workspace/r1
    while [ ! -e /workspace/go ]; do sleep 0.1; done
    curl -sS $auth $G/two >/workspace/r2; while [ ! -e /workspace/go2 ]; do sleep 0.1; done
    curl -sS $auth $G/three >/workspace/r3; echo >/workspace/end" >"$T/rot"
wait_for 10 reached good.test /one
NEW=$(random_token)
printf %s "$NEW" | brig secret rotate good >/dev/null
echo >"$T/ws/go"
check "rotate acts on a running job: the new value goes out" sh -c '
    i=0; until grep -F /two "$T/good.test.rec" | grep -qF "$0"; do
    i=$((i+1)); test $i -lt 100 || exit 1; sleep 0.1; done' "$NEW"
brig secret revoke good >/dev/null
echo >"$T/ws/go2"
wait_for 10 test -e "$T/ws/end"
check "revoke acts on a running job: refused with a reason" \
    grep -q '"error"' "$T/ws/r3"
check "and nothing reaches the origin" not_reached good.test /three
check "secret list shows it, without the value" sh -c \
    'brig secret list | grep good | grep -q revoked'
check "rm" sh -c 'brig secret rm good && ! brig secret list | grep -q "^good "'

# On a connection that is already open.
printf %s "$CANARY" | brig secret add live --host "good.test:$GOOD" --env LIVE >/dev/null
brig submit -w "$T/ws" -- sh -c 'curl -sSN -H "Authorization: Bearer $LIVE" '"$G/sse/200/100 >/workspace/sse 2>&1; echo \$? >/workspace/sse.rc" >/dev/null
wait_for 10 grep -q event "$T/ws/sse"
brig secret revoke live >/dev/null
check "revoke ends an exchange that is under way" wait_for 5 test -s "$T/ws/sse.rc"
check "audit tail shows records" sh -c 'brig audit tail -n 5 | grep -q .'
: >"$T/job.out"
attack_end
