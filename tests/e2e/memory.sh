#!/bin/sh
# What is kept of a real value once nobody needs it: nothing in back, and in
# keyd the one copy of its vault, in pages of its own.
# shellcheck disable=SC2016
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup memory
make_cert oauth.test
APP=$(random_token)
WIDE=wide-$(random_token)
: >"$T/oauth.rec"
background python3 "$BRIG_SRCDIR/tests/e2e/oauth_origin.py" \
    "$T/oauth.test.pem" "$T/oauth.test.key" "$APP" "$T/oauth.rec" \
    >"$T/oauth.out"
wait_for 10 grep -q listening "$T/oauth.out"
OAUTH=$(awk '/listening/ { print $2 }' "$T/oauth.out")
stop_brigd
echo "resolve oauth.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,POST} https://oauth.test:$OAUTH/**;" \
    "allow net 127.0.0.1:$OAUTH;"
start_brigd
brig secret rm other >/dev/null
printf %s "$WIDE" | brig secret add other --host "other.test:$OTHER" \
    --surface query:key --surface path --surface body:json \
    --surface body:form --surface ws:text --env WIDE_TOKEN >/dev/null
printf %s "$APP" | brig secret add app --host "oauth.test:$OAUTH" \
    --surface body:form --env CLIENT_SECRET \
    --capture /oauth/token:.access_token,.refresh_token >/dev/null
cp "$BRIG_SRCDIR/tests/e2e/ws_client.py" "$T/ws/"

# One round of all; what is cut off in the middle as well.
cat >"$T/ws/play.sh" <<JOB_END
G=https://good.test:$GOOD W=https://other.test:$OTHER O=https://oauth.test:$OAUTH
get() {
    curl -sS -o /dev/null -H "Authorization: Bearer \$GOOD_TOKEN" "\$@"
}
head -c 200000 /dev/zero | tr '\\0' x >/tmp/filler
for i in 1 2 3; do
    get \$G/header
    curl -sS -o /dev/null -u "me:\$GOOD_TOKEN" \$G/basic
    get \$G/leak \$G/leak \$G/leak
    get --compressed \$G/coded/gzip/20/1
    get -m 1 \$G/sse/1000/20
    get -m 1 \$G/hang
    get \$G/close
    curl -sS -o /dev/null "\$W/query?key=\$WIDE_TOKEN"
    curl -sS -o /dev/null "\$W/path/\$WIDE_TOKEN/x"
    printf '{"filler":"%s","key":"%s"}' "\$(cat /tmp/filler)" "\$WIDE_TOKEN" |
        curl -sS -o /dev/null -H 'Content-Type: application/json' \\
            --data-binary @- \$W/reply
    (printf '{"key":"%s","a":[' "\$WIDE_TOKEN"; sleep 3) |
        curl -sS -m 1 -o /dev/null -H 'Content-Type: application/json' \\
            -T - -X POST \$W/reply
    curl -sS -o /dev/null -d "key=\$WIDE_TOKEN" \$W/reply
    curl -sS -d grant_type=client_credentials -d "client_secret=\$CLIENT_SECRET" \\
        \$O/oauth/token >/tmp/token
    access=\$(sed 's/.*"access_token": *"\\([^"]*\\).*/\\1/' /tmp/token)
    curl -sS -o /dev/null -H "Authorization: Bearer \$access" \$O/api
    sleep 3
done
touch /workspace/played
until [ -e /workspace/go ]; do sleep 0.1; done
get \$G/sse/300/100
JOB_END
brig submit -w "$T/ws" -- sh /workspace/play.sh >"$T/live"
wait_for 60 test -e "$T/ws/played"
for way in /header /basic /coded/gzip /sse /hang /close; do
    check "control: the real value went out with $way" sh -c '
        grep -F "$0" "$T/good.test.rec" | grep -qF "$1" ||
        grep -F "$0" "$T/good.test.rec" | grep -qF "$2"' "$way" "$CANARY" \
        "$(printf 'me:%s' "$CANARY" | base64 -w0)"
done
for way in '/query?key=' /path/ /reply; do
    check "control: the other one with $way" sh -c '
        grep -F "$0" "$T/other.test.rec" | grep -qF "$1"' "$way" "$WIDE"
done
python3 -c '
import json, sys
for line in open(sys.argv[1]):
    for t in json.loads(line).get("issued", []):
        print(t)' "$T/oauth.rec" >"$T/issued"
check "control: tokens were issued" test -s "$T/issued"
for value in "$CANARY" "$WIDE" "$APP" $(cat "$T/issued"); do
    spellings "$value"
done >"$T/spellings"

pids() {
    brig --json status | python3 -c "
import json, sys
for p in json.load(sys.stdin)['processes']:
    if p['role'] == '$1':
        print(p['pid'])"
}
places() {
    for places_pid in $(pids "$1"); do
        python3 "$BRIG_SRCDIR/tests/e2e/search.py" places "$places_pid" \
            <"$T/spellings"
    done
}
none_in() {
    places "$1" >"$T/$1.places"
    [ ! -s "$T/$1.places" ] || {
        cat "$T/$1.places"
        return 1
    }
}
check "back keeps nothing of any value that it has sent or searched for" \
    none_in back
places keyd >"$T/keyd.places"
check "control: each value is in keyd, where the search finds it" sh -c '
    for v in "$@"; do
        grep -qF "$(printf %.12s "$v")" "$T/keyd.places" || exit 1
    done' sh "$CANARY" "$WIDE" "$APP"
check "and no value is there twice, or in the heap" sh -c '
    ! grep -F "[heap]" "$T/keyd.places" && ! sort "$T/keyd.places" | uniq -d |
        grep .'
touch "$T/ws/go"
wait_for 10 sh -c 'grep -c "/sse/300" "$T/good.test.rec" | grep -qv "^0"'
places back >"$T/back.places"
check "control: a value in use is found in back" test -s "$T/back.places"
brig kill -s KILL "$(cat "$T/live")" >/dev/null 2>&1 || :
attack_end
