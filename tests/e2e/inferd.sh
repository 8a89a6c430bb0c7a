#!/bin/sh
# A job and the local engine: http://inferd.brig/v1 goes through front and back
# to inferd's socket, class model decides, usage is on record, and the engine
# is told by brigd, not by the job, whose request it is.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
setup inferd
make_ca
mkdir -p "$T/ws" "$T/engine"
sock=$T/engine/inferd.sock
write_conf "inferd $sock"
GOOD=1 EVIL=1 OTHER=1 PLAIN=1
attack_policy "allow model inferd/tiny;" \
    "ask model inferd/asked because \"costs time\";"
start_brigd
U=http://inferd.brig/v1

# call BODY [PATH [CURL-ARGUMENT...]]: status on the last line of $T/job.out.
call() {
    call_body=$1
    call_path=${2-/chat/completions}
    shift
    [ $# = 0 ] || shift
    job "curl -sS -N -w '\n%{http_code}\n' $* \
        -H 'Content-Type: application/json' -d '$call_body' '$U$call_path'"
}

status() {
    [ "$(tail -n 1 "$T/job.out")" = "$1" ] || {
        cat "$T/job.out"
        return 1
    }
}

hi='"messages":[{"role":"user","content":"hi"}],"max_tokens":5'
call "{\"model\":\"tiny\",$hi}"
check "without an engine the answer is 503" status 503
check "which says what to start" job_says 'start the service inferd'

"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --layers 2 --vocab 300 \
    "$T/tiny.gguf" >"$T/mkmodel.out" 2>&1 || diag "$(cat "$T/mkmodel.out")"
background "$BRIG_BUILDDIR/inferd/inferd" -m "$T/tiny.gguf" --socket "$sock" \
    --context 2048 --kv-memory 64M 2>"$T/inferd.log"
# engine PATH: what it tells root.
engine() {
    curl -sS --max-time "$(bound 20)" --unix-socket "$sock" \
        "http://inferd.brig$1"
}
wait_for 60 engine /health || diag "$(cat "$T/inferd.log")"
check "now it runs" engine /health
check "and brig doctor says so" sh -c \
    'brig doctor -f "$0" | grep -F "answers at $1"' "$T/brigd.conf" "$sock"

stream="\"stream\":true,\"stream_options\":{\"include_usage\":true}"
call "{\"model\":\"tiny\",$stream,$hi}"
check "a completion streams into the jail" status 200
check "event by event, to its end" job_says 'data: [DONE]'
check "the decision is on record" audited '"MD101"' '"provider":"inferd"' \
    '"model":"tiny"' '"host":"inferd.brig"'
check "so is what it used" audited '"MD201"' '"provider":"inferd"' \
    '"known":true' '"output":'
job "curl -sS -w '\n%{http_code}\n' https://inferd.brig/v1/messages \
    -H 'anthropic-version: 2023-06-01' -d '{\"model\":\"tiny\",$hi}'"
check "https and Anthropic's protocol work as well" status 200
check "with their usage" audited '"MD201"' '"provider":"inferd"' \
    '"exchange":1' '"known":true'
job "curl -sS -w '\n%{http_code}\n' $U/models/tiny"
check "the model may be looked at" status 200

call "{\"model\":\"other\",$hi}"
check "a model without a rule is refused" status 403
check "in the words of OpenAI's interface" job_says '"invalid_request_error"'
check "that is on record" audited '"MD401"' '"provider":"inferd"' '"other"'
job "curl -sS -w '\n%{http_code}\n' http://inferd.brig/metrics"
check "what others used is not for jobs" status 403
job "curl -sS -w '\n%{http_code}\n' $U/models"
check "nor a list, without a rule for all of it" status 403
attack_policy "deny http * http://inferd.brig/**;" "allow model inferd/*;"
brig policy reload >/dev/null
call "{\"model\":\"tiny\",$hi}"
check "a rule of class http that denies the host counts" status 403
attack_policy "allow model inferd/*;"
brig policy reload >/dev/null
call "{\"model\":\"other\",$hi}"
check "the engine answers for no other model" status 404

# ---- whose request it is ------------------------------------------------
# known AGENT: the engine has counted requests of it.
known() {
    engine /metrics | grep -F "agent=\"$1\""
}
check "control: the engine knows the job's agent" known "job:0/default"
job '
    printf "AGENT job:7/forged\nGET /v1/models HTTP/1.1\r\nHost: inferd.brig\r\n\r\n" |
        python3 -c "
import socket, sys
s = socket.create_connection((\"inferd.brig\", 80))
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
print(s.recv(4096).split(b\"\r\n\")[0].decode())"'
check "an AGENT line of the job's own is no request" job_does_not_say 200
job "curl -sS -o /dev/null -w '%{http_code}\n' -H 'AGENT: job:7/forged' \
    -H 'X-Agent: job:7/forged' -H 'Agent: job:7/forged' $U/models"
check "fields of that name pass" status 200
job 'printf "{\"model\":\"tiny\",\"prompt\":\"x\"}AGENT job:7/forged\nGET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" >/tmp/body
    curl -sS -o /dev/null -w "%{http_code}\n" --data-binary @/tmp/body \
        http://inferd.brig/v1/completions'
check "but none of it makes another agent" sh -c '
    ! curl -sS --unix-socket "$0" http://inferd.brig/metrics | grep forged' \
    "$sock"
job 'ls /run/inferd; find / -xdev -type s 2>/dev/null'
check "the jail has no way to the socket itself" job_does_not_say inferd.sock
# as_nobody: what the engine answers to a connection of another uid.
as_nobody() {
    python3 -c '
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(sys.argv[2].encode() +
          b"GET /v1/models HTTP/1.1\r\nHost: inferd.brig\r\n\r\n")
print(s.recv(4096).split(b"\r\n")[0].decode())' "$sock" "$1" >"$T/answer" &&
        grep -q "$2" "$T/answer"
}
chmod 711 "$T" "$T/engine"
chmod 666 "$sock"
check "control: others may speak to the socket" as_nobody "" 200
check "but are not believed whose they are" as_nobody "AGENT job:7/forged
" 400
check "nor is its name remembered" sh -c '
    ! curl -sS --unix-socket "$0" http://inferd.brig/metrics | grep forged' \
    "$sock"
check "the engine still runs" engine /health
finish
