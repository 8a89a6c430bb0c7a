#!/bin/sh
# A client certificate as a credential: shown by back to its hosts, to no other
# and after no revocation; a job never has it.  And authorities for one host.
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"

setup mtls
make_ca
# Clients are signed by an authority that nobody else trusts.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$T/clients.key" -out "$T/clients.pem" -subj '/CN=clients' -days 2 \
    2>>"$T/openssl.log"
# client NAME [KEYTYPE]: $T/NAME.id, key and certificate.
client() {
    openssl req -newkey "${2-rsa:2048}" -nodes -keyout "$T/$1.key" \
        -out "$T/$1.csr" -subj "/CN=$1" 2>>"$T/openssl.log" &&
        openssl x509 -req -in "$T/$1.csr" -CA "$T/clients.pem" \
            -CAkey "$T/clients.key" -CAcreateserial -days 2 -out "$T/$1.crt" \
            2>>"$T/openssl.log" &&
        cat "$T/$1.key" "$T/$1.crt" >"$T/$1.id"
}
# server NAME [optional]: sets PORT
server() {
    make_cert "$1"
    cat "$T/$1.key" "$T/$1.pem" >"$T/$1.both"
    background python3 "$BRIG_SRCDIR/tests/proxy/mtls_origin.py" \
        "$T/$1.both" "$T/clients.pem" ${2+"$2"} >"$T/$1.out"
    wait_for 10 grep -q listening "$T/$1.out"
    PORT=$(awk '{ print $2 }' "$T/$1.out")
}
client alice
client bob ed25519
server mtls.test
MTLS=$PORT
server open.test optional
OPEN=$PORT
# Signed by an authority of its own.
mv "$T/ca.pem" "$T/usual.pem"
mv "$T/ca.key" "$T/usual.key"
make_ca
make_cert partner.test
mv "$T/ca.pem" "$T/partner-ca.pem"
mv "$T/usual.pem" "$T/ca.pem"
mv "$T/usual.key" "$T/ca.key"
background brig-origin -c "$T/partner.test.pem" -k "$T/partner.test.key" \
    >"$T/partner.out"
wait_for 5 grep -q listening "$T/partner.out"
PARTNER=$(awk '/listening/ { print $2 }' "$T/partner.out")

mkdir "$T/ws"
set -- "resolve mtls.test 127.0.0.1" "resolve open.test 127.0.0.1" \
    "resolve partner.test 127.0.0.1"
policy() {
    cat >"$T/policy/default.policy" <<EOF
profile default { default exec allow; default read allow; default write allow;
    default http allow; allow net 127.0.0.1:$MTLS; allow net 127.0.0.1:$OPEN;
    allow net 127.0.0.1:$PARTNER; }
EOF
}
write_conf "$@"
policy
start_brigd
job() {
    timeout 60 brig run -w "$T/ws" -- sh -c "$1" </dev/null 2>&1
}
M="https://mtls.test:$MTLS"
O="https://open.test:$OPEN"
direct() {
    curl -sS --noproxy '*' --cacert "$T/ca.pem" --max-time 10 \
        --resolve "mtls.test:$MTLS:127.0.0.1" "$@" "$M/"
}
check "control: without a certificate the server refuses" sh -c '! "$@"' sh \
    curl -sSf --noproxy '*' --cacert "$T/ca.pem" --max-time 10 \
    --resolve "mtls.test:$MTLS:127.0.0.1" "$M/"
check "control: with one it answers" sh -c 'grep -q "client alice"' <<EOF
$(direct --cert "$T/alice.crt" --key "$T/alice.key")
EOF
check "without a credential the agent reads why" job "
    curl -sS $M/ | grep -q 'client certificate'"
check "a client certificate is a credential" sh -c 'brig secret add me \
    --kind mtls --host "mtls.test:$0" <"$1" >/dev/null' "$MTLS" "$T/alice.id"
check "it is shown to its host" job "curl -sSf $M/ | grep -q 'client alice'"
check "one connection serves several requests" job "
    curl -sSf $M/ $M/ $M/ | sort -u | wc -l | grep -qx 1"
check "it is not shown to another host that would take it" job "
    curl -sSf $O/ | grep -q 'client nobody'"
check "control: that host would" sh -c 'grep -q "client alice"' <<EOF
$(curl -sS --noproxy '*' --cacert "$T/ca.pem" --resolve \
    "open.test:$OPEN:127.0.0.1" --cert "$T/alice.crt" --key "$T/alice.key" "$O/")
EOF
check "nothing of it is in the job" job "
    ! env | grep -e 'BEGIN ' -e me= && ! grep -rlF '$(sed -n 3p "$T/alice.key")' \
        /home /tmp /workspace /run /etc 2>/dev/null"
check "a release is on record" sh -c \
    'grep secret.release "$0"/log/*.jsonl | grep -q "\"me\""' "$T"
check "rotated: the other one is shown from then on" sh -c '
    brig secret rotate me <"$0" >/dev/null' "$T/bob.id"
check "rotated: Ed25519, too" job "curl -sSf $M/ | grep -q 'client bob'"
cat "$T/alice.key" "$T/bob.crt" >"$T/mixed.id"
brig secret rotate me <"$T/mixed.id" >/dev/null
check "a key that does not fit is said in words" job "
    curl -sS $M/ | grep -q 'the first certificate is for another key'"
brig secret rotate me <"$T/alice.id" >/dev/null
check "and works again" job "curl -sSf $M/ | grep -q 'client alice'"
background sh -c 'timeout 60 brig run -w "$0/ws" -- sh -c "
    curl -sS $1/ >/workspace/one; while [ ! -e /workspace/go ]; do sleep 0.1
    done; curl -sS $1/ >/workspace/two"' "$T" "$M"
runner=$LAST_PID
wait_for 20 grep -q alice "$T/ws/one"
brig secret revoke me >/dev/null
touch "$T/ws/go"
wait "$runner"
check "revoked: a running job is not known any more" sh -c '
    ! grep -q "client alice" "$0/two" && grep -q "client certificate" "$0/two"' \
    "$T/ws"

R="https://partner.test:$PARTNER"
check "an authority nobody trusts" job "
    curl -sS $R/ | grep -q 'not signed by a trusted authority'"
stop_brigd
write_conf "$@" "extra-ca mtls.test $T/partner-ca.pem"
start_brigd
check "trusted for another host: refused" job "
    curl -sS $R/ | grep -q 'not signed by a trusted authority'"
stop_brigd
write_conf "$@" "extra-ca partner.test $T/partner-ca.pem"
start_brigd
check "trusted for that host: accepted" job "curl -sSf $R/"
check "the usual authorities still hold elsewhere" job "curl -sSf $O/"
stop_brigd
write_conf "$@" "extra-ca partner.test $T/none.pem"
check "a file that is not there stops brigd" sh -c '
    ! timeout 10 brigd -f "$0/brigd.conf" 2>"$0/err" &&
    grep -q "none.pem" "$0/err"' "$T"
finish
