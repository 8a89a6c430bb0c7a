#!/bin/sh
# Origins that do their worst with the credential they were sent.  The value
# comes back in no place of a response, and no answer harms back or front.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
command -v python3 >/dev/null || {
    echo "1..0 # SKIP needs python3"
    exit 77
}
# Many misdeeds in one job, some of which wait.
BRIG_PATIENCE=${BRIG_PATIENCE-4}
attack_setup attack-rogue
make_cert rogue.test
background python3 "$BRIG_SRCDIR/tests/attack/rogue_origin.py" \
    "$T/rogue.test.pem" "$T/rogue.test.key" >"$T/rogue.out"
wait_for 10 grep -q listening "$T/rogue.out"
ROGUE=$(awk '/listening/ { print $2 }' "$T/rogue.out")
# A value whose base64 has a "/" for some stubs: not a character of a name.
ROGUE_REAL=$(random_token)
# An authority that calls itself like the credential, which nobody trusts.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout "$T/liar-ca.key" -out "$T/liar-ca.pem" -subj "/CN=$ROGUE_REAL" \
    2>>"$T/openssl.log"
make_cert liar.test
openssl x509 -req -in "$T/liar.test.csr" -CA "$T/liar-ca.pem" \
    -CAkey "$T/liar-ca.key" -CAcreateserial -days 2 \
    -extfile "$T/liar.test.ext" 2>>"$T/openssl.log" |
    cat - "$T/liar-ca.pem" >"$T/liar-chain.pem"
background python3 "$BRIG_SRCDIR/tests/attack/rogue_origin.py" \
    "$T/liar-chain.pem" "$T/liar.test.key" >"$T/liar.out"
wait_for 10 grep -q listening "$T/liar.out"
LIAR=$(awk '/listening/ { print $2 }' "$T/liar.out")
stop_brigd
echo "resolve rogue.test 127.0.0.1" >>"$T/brigd.conf"
echo "resolve liar.test 127.0.0.1" >>"$T/brigd.conf"
attack_policy "allow http {GET,HEAD,POST} https://rogue.test:$ROGUE/**;" \
    "allow http GET https://liar.test:$LIAR/**;" \
    "allow net 127.0.0.1:$ROGUE;" "allow net 127.0.0.1:$LIAR;"
start_brigd
printf %s "$ROGUE_REAL" | brig secret add rogue --host "rogue.test:$ROGUE" \
    --host "liar.test:$LIAR" --env ROGUE_TOKEN >/dev/null
# shellcheck disable=SC2034
CANARY=$ROGUE_REAL
R="https://rogue.test:$ROGUE"

direct_curl rogue.test "$ROGUE" -i -H "Authorization: Bearer $ROGUE_REAL" \
    "$R/value" "$R/trailer" "$R/name"
check "control: the origin leaks what it is sent" \
    grep -q "Location: /?k=$ROGUE_REAL" "$T/outside.out"

cat >"$T/ws/rogue.sh" <<EOF
for p in hints reason name name64 value folded barelf barecr trailer chunkext \
    gzip identity-gzip two-encodings te-gzip grpc connect utf32 utf7 ebcdic \
    ranges both-lengths 304 101 \
    http2 status0 status999 nothttp nul hop garbage toolong many interim \
    split drip endless-head endless-chunk early; do
    echo "== \$p"
    curl -sS -a -i -v -m 20 -H "Authorization: Bearer \$ROGUE_TOKEN" \
        $R/\$p 2>&1
    echo
    curl -sS -I -m 20 -H "Authorization: Bearer \$ROGUE_TOKEN" $R/\$p 2>&1
done
head -c 3000000 /dev/zero >/tmp/big
curl -sS -m 20 -i -H "Authorization: Bearer \$ROGUE_TOKEN" -H Expect: \
    --data-binary @/tmp/big $R/early 2>&1
for i in 1 2 3; do
    curl -sS -m 20 -i -H "Authorization: Bearer \$ROGUE_TOKEN" \
        $R/extra $R/after-\$i $R/extra $R/again-\$i 2>&1
done
i=0
while [ \$i -lt 40 ]; do
    curl -sS -m 20 -o /dev/null -w "n64 %{http_code}\n" \
        -H "Authorization: Bearer \$ROGUE_TOKEN" $R/name64 2>&1
    i=\$((i + 1))
done
curl -sS -m 20 -H "Authorization: Bearer \$ROGUE_TOKEN" \
    https://liar.test:$LIAR/ 2>&1
curl -sS -m 20 $R/last; echo " stub=\$ROGUE_TOKEN"
EOF
job "sh /workspace/rogue.sh"
check "control: the job came to its end" job_says "hello /last"
check "control: an authority that is not trusted is named" \
    job_says 'is not trusted (liar.test)'
check "control: its name is the value" sh -c '
    openssl x509 -noout -subject -in "$0" | grep -qF "$1"' \
    "$T/liar-ca.pem" "$ROGUE_REAL"
check "control: well-behaved parts arrive" job_says "hello /after-1"
check "no place of a response brings the value back" \
    no_canary "$T/job.out"
check "compressed answers are searched, however they are marked" sh -c '
    stub=$(sed -n "s/.* stub=//p" "$0")
    test "$(grep -acF "$stub$stub$stub$stub" "$0")" = 3' "$T/job.out"
check "parts and messages compressed one by one are refused" sh -c '
    test "$(grep -ac response_encoded "$0")" -ge 2 &&
    grep -aq "has the grpc-encoding" "$0"' "$T/job.out"
for p in connect utf32 utf7 ebcdic; do
    check "$p: what a search would not find is refused" sh -c '
        awk -v p="== $1" "/^== /{ on = \$0 == p } on" "$0" |
            grep -aq response_encoded' "$T/job.out" $p
done
check "an answer of one request is never that of the next" sh -c '
    ! grep -q X-Poison "$0"' "$T/job.out"
# 10: guesses at the value, which an honest server repeats.  Where its answer is
# cut and when it comes must not tell which is right.
cat >"$T/ws/guess.py" <<'PY_END'
import os, socket, ssl, sys

host, port = sys.argv[1], int(sys.argv[2])
c = ssl.create_default_context().wrap_socket(
    socket.create_connection((host, port)), server_hostname=host)
f = c.makefile("rb")


def ask(path, body):
    """The sizes of the chunks of the answer, or its status."""
    c.sendall(b"POST %s HTTP/1.1\r\nHost: %s:%d\r\n"
              b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (
                  path.encode(), host.encode(), port,
                  os.environ["ROGUE_TOKEN"].encode(), len(body)) + body)
    status, length = f.readline().split(b" ")[1].decode(), None
    while (line := f.readline().strip()):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    if length is not None:
        print(path, status, f.read(length).decode())
        return status
    sizes = []
    while (n := int(f.readline() or b"0", 16)):
        sizes.append(n)
        f.read(n + 2)
    f.readline()
    return sizes


how = sys.argv[3]
guesses = dict(line.split() for line in open("/workspace/guesses"))
if how == "cut":
    import base64
    for form in (lambda g: g, bytes.hex, lambda g: base64.b64encode(b"x" + g)):
        for end in (b"", b" and more"):
            for name, g in sorted(guesses.items()):
                g = form(g.encode())
                g = g if isinstance(g, bytes) else g.encode()
                print("cut", name, ask("/repeat", b"a guess: " + g + end))
else:
    for i in range(int(sys.argv[4])):
        got = ask("/repeat-slowly", b"a guess: " + guesses[how].encode())
        print("slow", how, got, flush=True)
        if not isinstance(got, list):
            break
PY_END
wrong=$(printf %s "$ROGUE_REAL" | cut -c1-16 | tr 'A-Za-z0-9' 'N-ZA-Mn-za-m5-90-4')
printf 'right %s\nwrong ghp_%s\n' "$(printf %s "$ROGUE_REAL" | cut -c1-16)" \
    "$(printf %s "$wrong" | cut -c5-)" >"$T/ws/guesses"
cp "$T/job.out" "$T/job.rogue"
job "python3 /workspace/guess.py rogue.test $ROGUE cut
    python3 /workspace/guess.py rogue.test $ROGUE wrong 4"
check "10 control: guesses are repeated, six of each" sh -c '
    test "$(grep -c "^cut right \[" "$0")" = 6 &&
    test "$(grep -c "^cut wrong \[" "$0")" = 6' "$T/job.out"
check "10 a right guess comes back in the same pieces as a wrong one" sh -c '
    grep "^cut right" "$0" | cut -d" " -f3- >"$T/right"
    grep "^cut wrong" "$0" | cut -d" " -f3- >"$T/wrong"
    cmp "$T/right" "$T/wrong" || { paste "$T/right" "$T/wrong"; exit 1; }' \
    "$T/job.out"
check "10 wrong guesses are nothing, slow as they come" sh -c '
    test "$(grep -c "^slow wrong \[" "$0")" = 4' "$T/job.out"
check "10 nor an event" not_audited SE402
job "python3 /workspace/guess.py rogue.test $ROGUE right 40
    python3 /workspace/guess.py rogue.test $ROGUE wrong 1"
check "10 right ones end the use of the secret" job_says credential_guessed
check "10 after a few" sh -c 'test "$(grep -c "^slow right" "$0")" -lt 40' \
    "$T/job.out"
check "10 for that job" sh -c '! grep "^slow wrong \[" "$0"' "$T/job.out"
check "10 and are on record" audited SE402 rogue.test '"guesses":3'
check "10 another job goes on" job \
    "python3 /workspace/guess.py rogue.test $ROGUE wrong 1 | grep 'wrong \['"
cat "$T/job.rogue" >>"$T/job.out"
check "no process of brig ended over it" sh -c '
    ! grep -E "broke the protocol|exited|signal [0-9]" "$0"' "$T/brigd.log"
attack_end
