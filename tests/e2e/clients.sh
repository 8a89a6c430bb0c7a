#!/bin/sh
# Real programs, unmodified, in the jail against a local TLS origin: each has a
# stub, the origin gets the real value, and the program is content.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# A git server behind TLS and Basic authentication.
git_origin() {
    mkdir -p "$T/repos"
    git init -q --bare "$T/repos/p.git"
    git -C "$T/repos/p.git" config http.receivepack true
    make_cert git.test
    background python3 "$BRIG_SRCDIR/tests/e2e/git_origin.py" \
        "$T/git.test.pem" "$T/git.test.key" "$T/repos" "bob:$CANARY" \
        >"$T/git.out" 2>"$T/git.err"
    wait_for 10 grep -q listening "$T/git.out"
    GITPORT=$(awk '/listening/ { print $2 }' "$T/git.out")
}

attack_setup clients
git_origin
stop_brigd
echo "resolve git.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,POST} https://git.test:$GITPORT/**;" \
    "allow net 127.0.0.1:$GITPORT;"
start_brigd
printf %s "$CANARY" | brig secret add git --host "git.test:$GITPORT" \
    --surface basic --env GIT_TOKEN >/dev/null
G="https://good.test:$GOOD"

# swapped PATH: the origin got the real value on a request for PATH.
swapped() {
    grep -F -e "$1" "$T/good.test.rec" | grep -qF "Bearer $CANARY"
}

check "curl: request" job "curl -sSf -H \"Authorization: Bearer \$GOOD_TOKEN\" $G/curl"
check "curl: the origin got the real value" swapped /curl
check "curl: upload of 5 MB arrives whole" sh -c '
    head -c 5000000 /dev/urandom >"$T/ws/up.bin"
    curl -sS --cacert "$T/ca.pem" --resolve "good.test:$1:127.0.0.1" \
        --data-binary @"$T/ws/up.bin" "$0/upload" >"$T/want"
    timeout 60 brig run -w "$T/ws" -- curl -sS -H "Expect: 100-continue" \
        --data-binary @/workspace/up.bin "$0/upload" >"$T/got"
    cmp "$T/want" "$T/got"' "$G" "$GOOD"
check "curl: chunked upload arrives whole" sh -c '
    timeout 60 brig run -w "$T/ws" -- curl -sS -H "Transfer-Encoding: chunked" \
        --data-binary @/workspace/up.bin "$0/upload" >"$T/got"
    cmp "$T/want" "$T/got"' "$G"
check "curl: HEAD, 204, 304, chunked, until-close" job "set -e
    curl -sSf -I $G/head | grep -q '200'
    curl -sS -o /dev/null -w '%{http_code}' $G/status/204 | grep -q 204
    curl -sS -o /dev/null -w '%{http_code}' $G/status/304 | grep -q 304
    test \$(curl -sSf $G/chunked/50 | wc -l) = 50
    curl -sSf $G/close | grep -q 'until the end'"
check "curl: several requests on one connection" job \
    "curl -sSf -v $G/k1 $G/k2 $G/k3 2>&1 | grep -q 'Re-using existing connection'"
check "curl: server-sent events arrive one by one" job "
    curl -sSN $G/sse/5/300 | python3 -uc '
import sys, time
times = []
while True:
    line = sys.stdin.readline()
    if not line: break
    if line.startswith(\"data\"): times.append(time.time())
assert len(times) == 5, times
assert times[-1] - times[0] > 0.8, times'"

check "git: clone, commit, push over https" job '
    cd /workspace && rm -rf p && export GIT_TERMINAL_PROMPT=0
    git clone -q "https://bob:$GIT_TOKEN@git.test:'"$GITPORT"'/p.git" p &&
    cd p && git config user.email a@example.com && git config user.name a &&
    head -c 3000000 /dev/urandom >big && echo hello >f && git add . &&
    git commit -qm first && git push -q origin HEAD:main'
check "git: the push is in the repository" sh -c \
    'git -C "$T/repos/p.git" log --oneline main | grep -q first'
check "git: the server saw the real password only" sh -c \
    'grep -q "auth ok" "$T/git.err" && ! grep -q "auth wrong" "$T/git.err"'
check "git: and the clone holds the stub, not the real value" \
    no_canary "$T/ws/p/.git/config"

check "node: fetch" job "node -e '
    fetch(\"$G/node\", {headers: {authorization: \"Bearer \" + process.env.GOOD_TOKEN}})
        .then(async r => { console.log(r.status, await r.text());
                           process.exit(r.ok ? 0 : 1) })'"
check "node: the origin got the real value" swapped /node
check "node: streaming body both ways" job "node -e '
    fetch(\"$G/upload\", {method: \"POST\", duplex: \"half\", body: new ReadableStream({
        start(c) { for (let i = 0; i < 50; i++) c.enqueue(new Uint8Array(10000)); c.close() }})})
        .then(async r => { const j = JSON.parse(await r.text());
                           process.exit(j.bytes === 500000 ? 0 : 1) })'"

check "python3: urllib" job "/usr/bin/python3 -c '
import os, urllib.request
r = urllib.request.Request(\"$G/python\", headers={\"Authorization\": \"Bearer \" + os.environ[\"GOOD_TOKEN\"]})
print(urllib.request.urlopen(r, timeout=20).status)'"
check "python3: the origin got the real value" swapped /python

check "a program that is refused gets JSON it can read" job "
    curl -sS -X DELETE $G/x | python3 -c '
import json, sys
d = json.load(sys.stdin)
assert d[\"error\"] and d[\"rule\"] and d[\"reason\"] and d[\"next_steps\"], d'"
attack_end
