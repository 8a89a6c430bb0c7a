#!/bin/sh
# What agents are told when a limit leaves them without an answer: an error
# that says which, and never an answer of no words.  Prints TAP.
. "${BRIG_SRCDIR:-.}/tests/lib.sh"
setup serve_limits
# shellcheck source-path=SCRIPTDIR/../..
. "$BRIG_SRCDIR/tests/inferd/ask.sh"
"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --layers 2 --vocab 300 \
    "$T/tiny.gguf" || exit 1

# A model may take long to load; whoever stops it meanwhile does not wait.  It
# is held up where it reads what it is to share.
mkfifo "$T/slow"
background sh -c "exec >'$T/slow'; echo >'$T/opened'; exec sleep 600"
background "$inferd" -m "$T/tiny.gguf" --socket "$sock" \
    --public-prefix "$T/slow" 2>"$T/log.0"
loading=$LAST_PID
gone() {
    ! kill -0 "$loading"
}
stopped_early() {
    wait_for 60 test -e "$T/opened" && kill "$loading" && wait_for 60 gone
}
check "it can be stopped while it loads" stopped_early

# fails STATUS PATTERN: the head and body of the last answer.
fails() {
    cat "$T/said"
    grep -q "^HTTP/1.1 $1" "$T/said" && grep -q -e "$2" "$T/said"
}
chat='"messages":[{"role":"user","content":"'$(seq -s ' ' 1 150)'"}]'

serve "$T/log" --agent-tokens 200
# left_out PATH MORE: a prompt that the budget does not cover, of an agent that
# has used nothing.
left_out() {
    other "$someone" -i "http://x$1" -d "{$chat,\"max_tokens\":5$2}" >"$T/said"
}
numbers='[1-9][0-9]* tokens asked for, the budget is 200'
too_much() {
    left_out "$1" '' && fails 429 "$numbers" &&
        fails 429 '^X-Should-Retry: false' && fails 429 "$2"
}
check "a prompt that the budget does not cover is refused" \
    too_much /v1/chat/completions '"type":"rate_limit_error"'
check "in Anthropic's words, too" \
    too_much /v1/messages '"type":"error","error":{"type":"rate_limit_error"'
streamed() {
    left_out /v1/messages ',"stream":true' && fails 429 "$numbers"
}
check "a stream that has not begun is one, too" streamed
spends() {
    other "$someone" http://x/v1/completions \
        -d '{"prompt":"a","max_tokens":1000,"temperature":0}' |
        grep '"finish_reason":"length"'
}
check "an answer with words in it ends where the budget does" spends
spent() {
    other "$someone" -i http://x/v1/completions -d '{"prompt":"a"}' >"$T/said"
    fails 429 'tokens used and 1 asked for' && fails 429 '^X-Should-Retry'
}
check "after which there is no more" spent
check "it ends" ends "$server"

serve "$T/log" --agent-tokens 5 --agent-window 3600 --agent-kv 300K
check "an agent's own context is told" says 200 \
    '"context_length":[1-9][0-9]\{1,2\},' /v1/models
check "and what is longer is refused for good" says 400 \
    'prompt is too long: [0-9]* tokens > [0-9]\{2,3\} maximum' \
    /v1/messages -d "{\"max_tokens\":5,$chat}"
waits() {
    other "$someone" http://x/v1/completions \
        -d '{"prompt":"a","temperature":0}' &&
        other "$someone" -i http://x/v1/completions -d '{"prompt":"a"}' \
            >"$T/said"
    fails 429 '^Retry-After: 3[0-9]\{3\}' &&
        fails 429 '^X-Should-Retry: false' && fails 429 'try again in 3[0-9]* s'
}
check "who has to wait is told how long" waits
check "and ends" ends "$server"
finish
