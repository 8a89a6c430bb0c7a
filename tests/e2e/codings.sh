#!/bin/sh
# Compressed responses, as real clients ask for them: read, searched and
# compressed again; the agent sees its stub and never the value.
# shellcheck disable=SC2016
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup codings
G="https://good.test:$GOOD"
AUTH='Authorization: Bearer $GOOD_TOKEN'

direct_curl good.test "$GOOD" --compressed -H "Authorization: Bearer $CANARY" \
    "$G/coded/br/3/0"
check "control: the origin compresses what it was sent" \
    grep -q "Bearer $CANARY" "$T/outside.out"
: >"$T/good.test.rec" # the control put the value there itself

for coding in gzip deflate br zstd; do
    job "curl -sSf -D - --compressed -H \"Accept-Encoding: $coding\" \
        -H \"$AUTH\" $G/coded/$coding/5/0; echo stub=\$GOOD_TOKEN"
    check "curl: $coding arrives as $coding, with the stub in it" sh -c '
        stub=$(sed -n "s/^stub=//p" "$T/job.out")
        grep -qi "^content-encoding: $0" "$T/job.out" &&
        test "$(grep -c "Bearer $stub" "$T/job.out")" = 5' "$coding"
    check "curl: no value in $coding" no_canary "$T/job.out"
    job "curl -sSf -D - -H \"$AUTH\" $G/coded/$coding/5/0
        echo stub=\$GOOD_TOKEN"
    check "curl: $coding that was not asked for arrives plain" sh -c '
        stub=$(sed -n "s/^stub=//p" "$T/job.out")
        ! grep -qi "^content-encoding" "$T/job.out" &&
        test "$(grep -c "Bearer $stub" "$T/job.out")" = 5'
done
job "curl -sSf -H \"$AUTH\" $G/coded/gzip,br/5/0; echo stub=\$GOOD_TOKEN"
check "curl: two codings, one over the other" sh -c '
    stub=$(sed -n "s/^stub=//p" "$T/job.out")
    test "$(grep -c "Bearer $stub" "$T/job.out")" = 5'
check "curl: an event of a compressed stream comes at once" job "
    curl -sSN --compressed -H \"Accept-Encoding: gzip\" -H \"$AUTH\" \
        $G/coded/gzip/4/400 | python3 -uc '
import sys, time
times = []
for l in sys.stdin:
    if l.startswith(\"data\"):
        times.append(time.time())
assert len(times) == 4, times
assert min(b - a for a, b in zip(times, times[1:])) > 0.2, times'"
check "python: gzip through urllib and its own decoder" job "python3 -c '
import gzip, os, urllib.request
r = urllib.request.Request(\"$G/coded/gzip/50/0\", headers={
    \"Accept-Encoding\": \"gzip\",
    \"Authorization\": \"Bearer \" + os.environ[\"GOOD_TOKEN\"]})
a = urllib.request.urlopen(r)
assert a.headers[\"Content-Encoding\"] == \"gzip\"
assert a.headers[\"ETag\"].startswith(\"W/\")
t = gzip.decompress(a.read()).decode()
assert t.count(os.environ[\"GOOD_TOKEN\"]) == 50, t'"
if command -v node >/dev/null; then
    for coding in gzip br deflate; do
        check "node: $coding through fetch" job "node -e '
            fetch(\"$G/coded/$coding/50/0\", { headers: { Authorization:
                \"Bearer \" + process.env.GOOD_TOKEN } })
            .then(r => r.text()).then(t => {
                if (t.split(process.env.GOOD_TOKEN).length !== 51)
                    throw new Error(t);
            }).catch(e => { console.error(e); process.exit(1); })'"
    done
else
    skip "node: fetch" "node is not installed"
fi
check "a host without a credential has its bytes passed on as they are" job "set -e
    curl -sSf -D - -H 'Accept-Encoding: gzip, x-own' -H Range:bytes=0-1 \
        https://evil.test:$EVIL/echo | grep -qi '^accept-encoding: gzip, x-own'
    curl -sSf -D - https://evil.test:$EVIL/gzip | grep -q 'not really'"
attack_end
