#!/bin/sh
# Calls of models: judged by name and amount of output, answered with errors of
# the provider's own shape, and what they used is on record.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# provider NAME: TLS origin at https://NAME; sets PORT, writes $T/NAME.out.
provider() {
    make_cert "$1"
    background python3 "$BRIG_SRCDIR/tests/e2e/model_origin.py" \
        "$T/$1.pem" "$T/$1.key" "$CANARY" >"$T/$1.out" 2>"$T/$1.err"
    wait_for 10 grep -q listening "$T/$1.out"
    PORT=$(awk '/listening/ { print $2 }' "$T/$1.out")
}

attack_setup model
provider llm.test
LLM=$PORT
provider bare.test
BARE=$PORT
stop_brigd
cat >>"$T/brigd.conf" <<CONF
resolve llm.test 127.0.0.1
resolve bare.test 127.0.0.1
model-host llm.test:$LLM openai:acme
model-host bare.test:$BARE anthropic
CONF
attack_policy "allow http {GET,POST,DELETE} https://llm.test:$LLM/**;" \
    "allow http {GET,POST} https://bare.test:$BARE/**;" \
    "allow net 127.0.0.1:$LLM; allow net 127.0.0.1:$BARE;" \
    "allow model acme/small-* max-output 1000;" \
    "allow model anthropic/claude-*;" \
    "ask model acme/big because \"costs money\";"
start_brigd
printf %s "$CANARY" | brig secret add llm --host "llm.test:$LLM" \
    --surface header:Authorization --env LLM_KEY >/dev/null
U="https://llm.test:$LLM"
B="https://bare.test:$BARE"

# call BODY [PATH [CURL-ARGUMENT...]]: status on the last line of $T/job.out.
call() {
    call_body=$1
    call_path=${2-$U/v1/chat/completions}
    call_key='-H "Authorization: Bearer $LLM_KEY"'
    case $call_path in "$B"*) call_key= ;; esac
    shift
    [ $# = 0 ] || shift
    job "curl -sS -w '\n%{http_code}\n' $call_key \
        -H 'Content-Type: application/json' $* -d '$call_body' '$call_path'"
}

status() {
    [ "$(tail -n 1 "$T/job.out")" = "$1" ] || {
        cat "$T/job.out"
        return 1
    }
}

# called NAME MODEL: the provider NAME was asked for MODEL.
called() {
    grep -qE "^(openai|anthropic|gemini) $2 key" "$T/$1.out"
}

call '{"model":"small-1","max_tokens":1000,"messages":[]}'
check "an allowed model is called" status 200
check "with the real key" grep -q '^openai small-1 key ok' "$T/llm.test.out"
check "the decision is on record" audited '"MD101"' '"acme"' '"small-1"' \
    '"max_output":1000'
check "and what it used" audited '"MD201"' '"small-1"' '"input":19' \
    '"cached":5' '"output":10'

call '{"model":"small-2","max_tokens":1001}'
check "more output than allowed is refused" status 403
check "in the provider's words" job_says '"type":"invalid_request_error"'
check "saying how much is allowed" job_says \
    'may take 1001 tokens of output; 1000 are allowed'
check "and with brig's own" job_says '"brig":{"error":"policy_denied"'
check "it is on record" audited '"MD401"' '"small-2"'
call '{"model":"small-3"}'
check "no limit at all is more than any" status 403
call '{"model":"huge","max_tokens":1}'
check "a model without a rule is refused" status 403
check "neither reached the provider" sh -c \
    '! grep -E "small-2|small-3|huge" "$T/llm.test.out"'

for body in '{"model":"small-4","max_tokens":1,"model":"huge"}' \
    '{"model":"small-4","Model":"huge","max_tokens":1}' 'model=small-4' '{}'; do
    call "$body"
    check "ambiguous or no model: $body" status 403
done
check "nor did one of these" sh -c '! grep small-4 "$T/llm.test.out"'
call '{"model":"small-5","max_tokens":1}' "$U/v1/chat/completions" \
    -H "'Content-Encoding: gzip'"
check "a compressed request is refused" status 415
job "curl -sS -o /dev/null -w '%{http_code}' -H 'Content-Type: text/plain' \
    -d x $U/v1/files"
check "a POST of anything else, too" job_says 403
job "curl -sS -o /dev/null -w '%{http_code}' \
    -H 'Content-Type: application/json; charset=utf-7' \
    -d '{\"model\":\"small-6\",\"max_tokens\":1}' $U/v1/x"
check "JSON in another charset, too" job_says 415
job "curl -sS -o /dev/null -w '%{http_code}' -X GET \
    -H 'Content-Type: application/json' -H 'X-HTTP-Method-Override: POST' \
    -d '{\"model\":\"huge\",\"max_tokens\":1}' $U/v1/x"
check "a GET that is to be a POST is judged as one" job_says 403
job "curl -sSf $U/v1/models"
check "GET calls no model" job_says '{}'
job "curl -sS -w '\n%{http_code}\n' --http1.1 -H 'Connection: Upgrade' \
    -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==' $U/v1/realtime?model=huge"
check "a WebSocket is refused" sh -c 'tail -n 1 "$T/job.out" | grep -E "403|501"'

# A big body, sent in pieces, with a credential and a body that is awaited.
check "a body of 4 MB in chunks is judged whole and arrives whole" job "
    python3 -c '
import json
print(json.dumps({\"max_tokens\": 5, \"messages\": \"x\" * 4000000,
                  \"model\": \"small-big\"}))' >/tmp/body
    curl -sSf -o /dev/null -H \"Authorization: Bearer \$LLM_KEY\" \
        -H 'Transfer-Encoding: chunked' -H 'Expect: 100-continue' \
        --data-binary @/tmp/body $U/v1/chat/completions"
check "the provider got it" called llm.test small-big
job "head -c 17000000 /dev/zero >/tmp/body
    curl -sS -o /dev/null -w '%{http_code}\n' --data-binary @/tmp/body \
        $U/v1/chat/completions"
check "one of 17 MB is refused" status 413

job 'python3 -c "
print(\"{\\\"max_tokens\\\":5,\\\"model\\\":\\\"small-held\\\",\\\"x\\\":\\\"\" +
      \"x\" * 15000000 + \"\\\"}\")" >/tmp/body
    for i in 1 2 3 4 5; do
        curl -sS -o /dev/null -w "held %{http_code}\n" --limit-rate 8M \
            --data-binary @/tmp/body '"$U"'/v1/chat/completions &
    done; wait'
check "of many at once, those beyond 32 MB are refused" sh -c '
    grep -q "held 503" "$0" && grep -q "held 200" "$0" || { cat "$0"; false; }' \
    "$T/job.out"

call '{"model":"small-sse","max_tokens":5,"stream":true}'
check "a stream arrives" job_says 'data: {"delta": "b"}'
check "and its usage is recorded" audited '"MD201"' '"small-sse"' \
    '"known":true' '"output":10'
call '{"model":"small-gz","max_tokens":5}' "$U/v1/x?gzip" --compressed
check "a compressed answer is read, too" audited '"MD201"' '"small-gz"' \
    '"input":19'
call '{"model":"claude-x"}' "$B/v1/messages?gzip" --compressed
check "without a credential as well" audited '"MD201"' '"claude-x"' \
    '"input":125' '"output":15'
call '{"model":"other"}' "$B/v1/messages"
check "Anthropic's clients get Anthropic's error" job_says \
    '"type":"permission_error"'

# Somebody is asked.
background sh -c '
    i=0
    while [ $i -lt 100 ]; do
        id=$(brig asks 2>/dev/null | awk "/A-/ { print \$1; exit }")
        [ -n "$id" ] && { brig asks show "$id" >"$T/ask.txt" 2>&1
            brig asks >>"$T/ask.txt"; brig approve "$id" >/dev/null; break; }
        i=$((i + 1)); sleep 0.1
    done'
call '{"model":"big","max_tokens":7}'
check "a model that is asked about is called once it is approved" status 200
check "the question names it" sh -c \
    'grep -q "acme/big, at most 7 tokens" "$T/ask.txt" || { cat "$T/ask.txt"; false; }'
check "on record as a person's word" audited '"MD101"' '"big"' \
    '"by":"human"'

attack_end
