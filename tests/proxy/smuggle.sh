#!/bin/sh
# What front accepts is exactly what back sends, byte for byte, or it is
# refused and nothing leaves: requests that two parsers might read differently.
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"
S=$BRIG_SRCDIR/tests/proxy/smuggle.py

setup smuggle
make_ca
make_cert rec.test
touch "$T/got"
background python3 "$S" record "$T/rec.test.pem" "$T/rec.test.key" "$T/got" \
    >"$T/rec.out" 2>"$T/rec.err"
wait_for 10 grep -q listening "$T/rec.out"
PORT=$(awk '/listening/ { print $2 }' "$T/rec.out")
write_conf "resolve rec.test 127.0.0.1"
cat >"$T/policy/default.policy" <<CONF
profile default {
    default exec allow;  default read allow;  default write allow;
    allow http * https://rec.test:$PORT/**;  allow net 127.0.0.1:$PORT;
}
CONF
start_brigd
mkdir -p "$T/ws"
cp "$S" "$T/ws/"

# All in one job: a line of statuses each.  A case has its own connection, so
# that no pool joins two.
python3 "$S" list >"$T/names"
cat >"$T/ws/all.sh" <<'JOB_END'
while read -r name; do
    : >"/workspace/now"
    python3 /workspace/smuggle.py send "$1" \
        /etc/ssl/certs/ca-certificates.crt "$name"
    # The origin writes down a connection when it ends.
    sleep 0.05
done </workspace/names
JOB_END
cp "$T/names" "$T/ws/names"
check "all cases are sent" timeout 300 sh -c 'brig run -w "$T/ws" -- \
    sh /workspace/all.sh "$0" >"$T/statuses" 2>"$T/errors" </dev/null &&
    [ "$(wc -l <"$T/statuses")" = "$(wc -l <"$T/names")" ]' "$PORT"

# Connections stay open in back's pool: end them, so that all is written down.
stop_brigd
sleep 0.5
# What the origin got, all connections joined: bytes of requests only.
tr -d '\n' <"$T/got" >"$T/all"
i=0
while read -r name; do
    i=$((i + 1))
    status=$(sed -n "${i}p" "$T/statuses")
    want=$(python3 "$S" want "$PORT" "$name")
    if [ "$want" = nothing ]; then
        check "refused: $name" sh -c '
            case "$0" in "" | 400 | 403 | 405 | 411 | 413 | 421 | 501 | 505) ;;
            *) echo "status $0"; false ;; esac' "$status"
    else
        check "passed: $name" sh -c '
            case "$0" in 200 | "200 200") ;; *) echo "status $0"; false ;; esac
            grep -qF "$1" "$T/all" || { echo "$1"; cat "$T/got"; false; }' \
            "$status" "$want"
    fi
done <"$T/names"

# And nothing else: every byte that arrived belongs to a case that passed.
check "no other byte has arrived" python3 -c '
import subprocess, sys
s, port, names, got = sys.argv[1:]
want = []
for name in open(names).read().splitlines():
    w = subprocess.run([sys.executable, s, "want", port, name],
                       capture_output=True, text=True).stdout.strip()
    if w != "nothing":
        want.append(w)
left = open(got).read()
for w in sorted(want, key=len, reverse=True):
    left = left.replace(w, "", 1)
print(bytes.fromhex(left))
sys.exit(left != "")' "$S" "$PORT" "$T/names" "$T/all"
check "nothing hidden has become a request" sh -c '
    ! grep -q 2f68696464656e "$T/all"'
finish
