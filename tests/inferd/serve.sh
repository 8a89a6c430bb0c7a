#!/bin/sh
# inferd as a server: each protocol, malformed requests, clients that hang up
# or read nothing, agents apart.  Prints TAP.
. "${BRIG_SRCDIR:-.}/tests/lib.sh"
setup serve
. "$BRIG_SRCDIR/tests/inferd/ask.sh"
# The interpreter itself: what stands for it may take its time each time.
clients="$(python3 -c 'import sys; print(sys.executable)') \
${BRIG_SRCDIR:-.}/tests/inferd/clients.py"

"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --layers 4 --vocab 300 \
    "$T/tiny.gguf" || exit 1
serve "$T/log" --tcp 127.0.0.1:0
port=$(sed -n 's/.*at 127.0.0.1:\([0-9]*\)$/\1/p' "$T/log")

hi='"messages":[{"role":"user","content":"hi"}],"max_tokens":5'
check "it is well" says 200 '"status":"ok"' /health
check "HEAD / has no body" says 200 '^$' / -I
check "its model is listed" says 200 '"id":"tiny"' /v1/models
check "and known by its name" says 200 '"id":"tiny"' /v1/models/tiny
check "another is not" says 404 'is tiny' /v1/models/gpt
check "no other path" says 404 '"error":{"message"' /v1/nothing
check "in Anthropic's words below its path" says 404 \
    '"type":"error","error":{"type":"not_found_error"' /v1/messages/batches
check "no other method" says 405 'POST' /v1/messages -X DELETE

check "chat completions" says 200 '"finish_reason":"' \
    /v1/chat/completions -d "{$hi}"
check "completions" says 200 '"text_completion"' \
    /v1/completions -d '{"prompt":"hi","max_tokens":5}'
check "responses" says 200 '"object":"response"' \
    /v1/responses -d '{"input":"hi","max_output_tokens":16}'
check "messages" says 200 '"stop_reason":"' \
    '/v1/messages?beta=true' -d "{$hi}"
check "tokens are counted without sampling" says 200 '^{"input_tokens":' \
    /v1/messages/count_tokens -d "{$hi}"
check "chat completions as a stream" says 200 '^data: \[DONE\]' \
    /v1/chat/completions -d "{$hi,\"stream\":true}"
check "completions as a stream" says 200 '^data: \[DONE\]' \
    /v1/completions -d '{"prompt":"hi","max_tokens":5,"stream":true}'
check "responses as a stream" says 200 '^event: response\.\(inc\|c\)omplete' \
    /v1/responses -d '{"input":"hi","max_output_tokens":16,"stream":true}'
check "messages as a stream" says 200 '^event: message_stop' \
    /v1/messages -d "{$hi,\"stream\":true}"
check "over TCP" curl -sSf --max-time "$(bound 60)" \
    "http://localhost:$port/v1/chat/completions" -d "{$hi}"

twice() {
    for i in 1 2; do
        ask /v1/completions -d '{"prompt":"a","max_tokens":20,"seed":7}' |
            grep -o '"text":"[^"]*"' >"$T/text.$i" || return 1
    done
    cmp "$T/text.1" "$T/text.2"
}
check "one seed, one text" twice

check "what is no JSON" says 400 invalid_request_error \
    /v1/chat/completions -d '{"messages":'
check "what is compressed" says 415 'is compressed' /v1/messages -d "{$hi}" \
    -H 'Content-Encoding: zstd'
check "a history that makes no sense" says 400 invalid_request_error \
    /v1/messages -d '{"max_tokens":5,"messages":[{"role":"user","content":[
    {"type":"tool_result","tool_use_id":"x","content":"y"}]}]}'
head -c 60000 /dev/zero | tr '\0' 'a' >"$T/long"
printf '{"max_tokens":5,"messages":[{"role":"user","content":"%s"}]}' \
    "$(cat "$T/long")" >"$T/long.json"
check "more than the context holds, in numbers" says 400 \
    'prompt is too long: [0-9]* tokens > 4095 maximum' \
    /v1/messages -d "@$T/long.json"
check "and with OpenAI's code" says 400 '"code":"context_length_exceeded"' \
    /v1/chat/completions -d "@$T/long.json"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    printf '%s ' "$(cat "$T/long")"
done >"$T/huge"
printf '{"max_tokens":5,"messages":[{"role":"user","content":"%s"}]}' \
    "$(cat "$T/huge")" >"$T/huge.json"
check "far more than it holds" says 400 \
    'prompt is too long: [1-9][0-9]\{4,6\} tokens > 4095 maximum' \
    /v1/messages -d "@$T/huge.json"
check "and the tokens of that are counted" says 200 \
    '"input_tokens":[1-9][0-9]\{4,6\}}' /v1/messages/count_tokens \
    -d "@$T/huge.json"
check "a body in chunks" says 200 '"finish_reason"' /v1/chat/completions \
    -H 'Transfer-Encoding: chunked' -d "{$hi}"
check "a body that waits to be called" says 200 '"finish_reason"' \
    /v1/chat/completions -H 'Expect: 100-continue' -d "{$hi}"
kept() {
    curl -sS --max-time "$(bound 60)" --unix-socket "$sock" \
        -w '%{num_connects}\n' -o "$T/a" -o "$T/b" \
        http://x/v1/completions http://x/v1/chat/completions \
        -d '{"prompt":"hi","messages":[{"role":"user","content":"hi"}],
        "max_tokens":3}' | paste -s -d ' ' | grep '^1 0$'
}
check "a connection is kept" kept
raw() {
    printf '%b' "$1" | $clients raw "$sock" >"$T/raw"
    cat "$T/raw"
    grep -q "^HTTP/1.1 $2" "$T/raw"
}
check "what is no HTTP" raw 'hello\n\n' 400
check "a body over the limit" raw \
    'POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n' \
    413
check "two lengths" raw \
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n' \
    400

foreign() {
    curl -sS -o "$T/said" -w '%{http_code}' --max-time "$(bound 60)" "$@" \
        "http://127.0.0.1:$port/health" | grep 403
}
check "a page of somewhere else has no say over TCP" foreign \
    -H 'Origin: https://evil.example'
check "nor by a name that points here" foreign -H 'Host: evil.example'
check "a page of this machine has" curl -sSf -H 'Origin: http://localhost:3000' \
    --max-time "$(bound 60)" "http://127.0.0.1:$port/health"

get='GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
named() {
    raw "AGENT job:7/worker\n$get" 200 &&
        grep -q 'agent="job:7/worker"' "$T/raw" &&
        ! grep -q 'agent="uid:0"' "$T/raw"
}
check "root says for whom it speaks" named
# asks_for MODEL: as an agent that the supervisor names.
asks_for() {
    body="{\"model\":\"$1\",$hi}"
    raw "AGENT job:7/worker\nPOST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n\
Connection: close\r\nContent-Length: ${#body}\r\n\r\n$body" "$2"
}
check "its model is the one that the agent asks for" asks_for tiny 200
check "or none" asks_for gpt-5 404
forged() {
    printf '%b' "AGENT job:7/worker\n$get" | $clients raw "$sock" "$someone" |
        grep '^HTTP/1.1 400'
}
check "nobody else does" forged
apart() {
    other "$someone" http://x/v1/completions \
        -d '{"prompt":"hi","max_tokens":3}' >"$T/said" &&
        other "$someone" http://x/metrics >"$T/seen" ||
        return 1
    cat "$T/seen"
    ask /metrics >"$T/all"
    grep -q "requests_total{agent=.uid:$someone.,.* 1$" "$T/seen" &&
        ! grep -q -e 'uid:0' -e tcp -e running "$T/seen" &&
        grep -q 'agent="uid:0"' "$T/all" && grep -q '"tcp"' "$T/all" &&
        grep -q "uid:$someone" "$T/all" &&
        [ "$(tail -n 3 "$T/all" | head -n 1)" = "# EOF" ]
}
check "an agent sees its own numbers, root all" apart

check "fifty clients, and one that reads nothing" \
    sh -c "$clients crowd '$sock' 50 | grep '^ok$'"

check "who takes all connections leaves some to others" \
    sh -c "$clients crush '$sock' $someone | grep '^ok$'"

# hangs_up TEXT: until one was seen to have gone in time.  What a text makes
# the model say may be short, and done before.
cancelled() {
    count_of 'requests_total{agent="uid:0",api="completions",outcome="cancelled"}'
}
hangs_up() {
    before=$(cancelled)
    for i in 1 2 3 4 5 6 7 8 9; do
        $clients hangup "$sock" "$i$1" || return 1
        wait_for 60 idle || return 1
        [ "$(cancelled)" = "$before" ] || return 0
    done
    return 1
}
idle() {
    [ "$(count_of 'requests_open{agent="uid:0"}')" = 0 ] &&
        [ "$(count_of running)" = 0 ]
}
text=$(head -c 3900 "$T/long")
hangs_up_early() {
    hangs_up "$text"
}
check "who hangs up while its prompt is read frees the engine" hangs_up_early
check "and while it is answered" hangs_up " hello"

check "TCP of more than this machine is refused" refuses "this machine alone" \
    "$inferd" -m "$T/tiny.gguf" --tcp 0.0.0.0:0
check "a socket that is served is refused" refuses "another process serves" \
    "$inferd" -m "$T/tiny.gguf" --socket "$sock"

$clients inherit 0 "$inferd" -m "$T/tiny.gguf" >"$T/port" 2>"$T/log.2" &
LAST_PID=$!
test_pids="$test_pids $LAST_PID"
handed() {
    curl -sSf "http://127.0.0.1:$(cat "$T/port")/health"
}
check "a socket that systemd opened" wait_for 60 handed
check "it ends when told to" ends "$LAST_PID"

# Answers that have no end before their time, more than are made at once.
many='"stream":true,"response_format":{"type":"json_schema","schema":{
    "type":"array","items":{"type":"integer"},"minItems":1500}}'
clients=
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    curl -sS -N --unix-socket "$sock" http://x/v1/chat/completions -d \
        "{\"messages\":[{\"role\":\"user\",\"content\":\"go on\"}],$many}" \
        >"$T/cut.$i" 2>&1 &
    clients="$clients $!"
done
stopped() {
    wait_for 60 grep -h '"content":"[^"]' "$T"/cut.* || return 1
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        wait_for 60 test -s "$T/cut.$i" || return 1
    done
    # shellcheck disable=SC2086
    ends "$server" && wait $clients
    grep -c 'data: {"error":.*the engine is being stopped' "$T"/cut.*
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        grep -q -e 'being stopped' -e '\[DONE\]' "$T/cut.$i" || return 1
    done
    grep -q 'data: {"error":.*being stopped' "$T"/cut.* &&
        ! grep -l 'being stopped' "$T"/cut.* | xargs grep finish_reason.:.length
}
check "and those that wait for answers are told" stopped
finish
