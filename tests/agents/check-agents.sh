#!/bin/sh
# make check-agents: real agents against the local engine with a model of
# random weights.  What they answer is noise; an error that they, or the
# engine, report is a failure.  npm fetches them into $BRIG_BUILDDIR/tests/agents
# once; then, as root, they run where there is no network but loopback.
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"
work=$BRIG_BUILDDIR/tests/agents
pi=@mariozechner/pi-coding-agent@0.73.1
claude=@anthropic-ai/claude-code@2.1.197

fetch() {
    mkdir -p "$work"
    if [ ! -x "$work/node_modules/.bin/pi" ] ||
        [ ! -x "$work/node_modules/.bin/claude" ]; then
        npm install --no-audit --no-fund --prefix "$work" $pi $claude \
            >"$work/npm.log" 2>&1
    fi
}

if ! command -v npm >/dev/null; then
    skip "agents and the local engine" "npm is not installed"
    finish
fi
fetch || diag "npm install failed, see $work/npm.log"
# To the host's own network no agent gets.
if [ "$(id -u)" = 0 ] && [ -z "${BRIG_UNSHARED-}" ]; then
    BRIG_UNSHARED=1 exec unshare -n sh "$0"
fi
[ -z "${BRIG_UNSHARED-}" ] || ip link set lo up
setup agents
"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --layers 2 --vocab 300 \
    "$T/tiny.gguf" >"$T/mkmodel.out" 2>&1 || diag "$(cat "$T/mkmodel.out")"
background "$BRIG_BUILDDIR/inferd/inferd" -m "$T/tiny.gguf" \
    --tcp 127.0.0.1:0 --context 24576 --kv-memory 1G 2>"$T/inferd.log"
wait_for 60 grep -q 'at 127.0.0.1:' "$T/inferd.log" ||
    diag "$(cat "$T/inferd.log")"
engine=$(sed -n 's/.* at 127.0.0.1:\([0-9]*\)$/\1/p' "$T/inferd.log")
background python3 "$BRIG_SRCDIR/tests/agents/relay.py" 0 "$engine" \
    "$T/http" >"$T/relay.out"
wait_for 10 grep -q listening "$T/relay.out"
port=$(awk '/listening/ { print $2 }' "$T/relay.out")
url=http://127.0.0.1:$port
mkdir -p "$T/ws"
git -C "$T/ws" init -q

# agent COMMAND...: in a home of its own; $T/out, $T/err, $T/http, $rc.
agent() {
    rc=0
    : >"$T/http"
    (cd "$T/ws" && HOME=$T/home && export HOME &&
        timeout "$(bound 180)" "$@") >"$T/out" 2>"$T/err" </dev/null || rc=$?
}

well() {
    [ "$rc" = 0 ] || {
        echo "status $rc"
        head -c 2000 "$T/out" "$T/err"
        return 1
    }
}

# asked LINE: it was, and nothing was answered with an error.
asked() {
    if ! grep -q "$1" "$T/http" || ! grep -q '^HTTP/1.1 200' "$T/http" ||
        grep -qE '^HTTP/1.1 [45]' "$T/http"; then
        cat "$T/http"
        return 1
    fi
}

if [ -x "$work/node_modules/.bin/pi" ]; then
    for api in openai-completions anthropic-messages openai-responses; do
        case $api in
        anthropic-messages) base=$url path=/v1/messages ;;
        openai-responses) base=$url/v1 path=/v1/responses ;;
        *) base=$url/v1 path=/v1/chat/completions ;;
        esac
        mkdir -p "$T/home/.pi/agent"
        cat >"$T/home/.pi/agent/models.json" <<EOF
{"providers":{"inferd":{"baseUrl":"$base","api":"$api","apiKey":"KEY",
 "models":[{"id":"tiny","name":"tiny","reasoning":false,"input":["text"],
  "contextWindow":24576,"maxTokens":256,
  "cost":{"input":0,"output":0,"cacheRead":0,"cacheWrite":0}}]}}}
EOF
        agent env KEY=none "$work/node_modules/.bin/pi" -p --provider inferd \
            --model tiny "Write hello.txt"
        check "pi, $api: ends well" well
        check "pi, $api: no error was answered" asked "^POST $path"
        check "pi, $api: it reports none" sh -c '! grep -i error "$0"' "$T/err"
    done
else
    skip "pi" "npm could not install $pi"
fi

if [ -x "$work/node_modules/.bin/claude" ]; then
    agent env ANTHROPIC_BASE_URL="$url" ANTHROPIC_API_KEY=none \
        CLAUDE_CODE_MAX_OUTPUT_TOKENS=256 \
        "$work/node_modules/.bin/claude" --bare --model tiny \
        --output-format json --allowedTools Bash -p "Write hello.txt"
    check "Claude Code: no error was answered" asked '^POST /v1/messages'
    # Noise may have no end.
    if grep -q 'output token maximum' "$T/out"; then
        ok "Claude Code: says that the answer was cut off"
    else
        check "Claude Code: ends well" well
        check "Claude Code: it reports no error" \
            grep -q '"is_error":false' "$T/out"
    fi
else
    skip "Claude Code" "npm could not install $claude"
fi
check "the engine still runs" curl -sS --noproxy '*' "$url/health"
finish
