#!/bin/sh
# Which certificates of upstream servers are accepted: each bad one is refused
# with a reason that the agent can read, no request reaches its server, and
# outside a client that does not verify finds the server there.
# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"

setup certs
make_ca
: >"$T/list"
: >"$T/cases"
mkdir "$T/c" "$T/ws" "$T/issued"
: >"$T/issued/index"
cat >"$T/ca.cnf" <<EOF
[ca]
default_ca = x
[x]
database = $T/issued/index
new_certs_dir = $T/issued
rand_serial = yes
unique_subject = no
policy = any
[any]
commonName = optional
[empty]
EOF
YESTERDAY=$(date -u -d '-1 day' +%y%m%d%H%M%SZ)
TOMORROW=$(date -u -d '+1 day' +%y%m%d%H%M%SZ)
BEFORE=$(date -u -d '-9 days' +%y%m%d%H%M%SZ)
AFTER=$(date -u -d '+9 days' +%y%m%d%H%M%SZ)
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
    -out "$T/ec.key" 2>>"$T/openssl.log"

# key ALGORITHM: its file, made on first use; leaves may share one.
key() {
    [ -e "$T/$1.key" ] || case $1 in
    rsa*) openssl genpkey -algorithm RSA -pkeyopt "rsa_keygen_bits:${1#rsa}" \
        -out "$T/$1.key" 2>>"$T/openssl.log" ;;
    ed25519) openssl genpkey -algorithm ED25519 -out "$T/$1.key" ;;
    *) openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$1" \
        -out "$T/$1.key" 2>>"$T/openssl.log" ;;
    esac
    echo "$T/$1.key"
}

# issue FILE ISSUER SUBJECT [-k KEY] [-m DIGEST] [-f FROM] [-t TO] EXT...:
# $T/c/FILE.pem, signed by $T/c/ISSUER.pem.
issue() {
    i_file=$1 i_issuer=$2 i_subject=$3
    shift 3
    i_key=ec i_md=sha256 i_from=$YESTERDAY i_to=$TOMORROW
    while getopts k:m:f:t: i_opt; do
        case $i_opt in
        k) i_key=$OPTARG ;;
        m) i_md=$OPTARG ;;
        f) i_from=$OPTARG ;;
        t) i_to=$OPTARG ;;
        *) exit 1 ;;
        esac
    done
    shift $((OPTIND - 1))
    OPTIND=1
    i_key=$(key "$i_key")
    printf '%s\n' "$@" >"$T/c/$i_file.ext"
    if ! openssl req -new -key "$i_key" -subj "$i_subject" \
        -out "$T/c/$i_file.csr" 2>>"$T/openssl.log" ||
        ! openssl ca -batch -config "$T/ca.cnf" -notext -md "$i_md" \
            -in "$T/c/$i_file.csr" -out "$T/c/$i_file.pem" \
            -cert "$T/c/$i_issuer.pem" -keyfile "$T/c/$i_issuer.key" \
            -startdate "$i_from" -enddate "$i_to" \
            -extfile "$T/c/$i_file.ext" 2>>"$T/openssl.log"; then
        tail -n 5 "$T/openssl.log" | sed 's/^/# /'
        echo "Bail out! cannot make the certificate $i_file"
        exit 1
    fi
    cp "$i_key" "$T/c/$i_file.key"
}

# authority FILE ISSUER [OPTION...] [EXT...]
authority() {
    a_file=$1 a_issuer=$2
    shift 2
    openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
        -out "$T/$a_file-own.key" 2>>"$T/openssl.log"
    issue "$a_file" "$a_issuer" "/CN=Authority $a_file" -k "$a_file-own" "$@"
}

# serve HOST WANT CHAIN [MIN MAX]: WANT is "good" or a part of the reason;
# CHAIN the files whose certificates are sent, the leaf first.
serve() {
    s_host=$1 s_want=$2 s_chain=$3
    shift 3
    s_leaf=${s_chain%% *}
    for s_file in $s_chain; do
        cat "$T/c/$s_file.pem"
    done >"$T/c/$s_leaf.chain"
    cat "$T/c/$s_leaf.key" >>"$T/c/$s_leaf.chain"
    echo "$s_host $T/c/$s_leaf.chain $*" >>"$T/list"
    echo "$s_host $s_want" >>"$T/cases"
}

# bad HOST REASON [issue's options] EXT...: a leaf of the trusted CA.
bad() {
    b_host=$1 b_why=$2
    shift 2
    issue "$b_host" ca "/CN=$b_host" "$@"
    serve "$b_host" "$b_why" "$b_host"
}

good() {
    g_host=$1
    shift
    bad "$g_host" good "$@"
}

cp "$T/ca.pem" "$T/ca.key" "$T/c/"
CA='basicConstraints=critical,CA:TRUE'
SAN() {
    echo "subjectAltName=DNS:$1"
}

# ---- what must be accepted
good ec.test "$(SAN ec.test)"
good rsa2048.test -k rsa2048 "$(SAN rsa2048.test)"
good p384.test -k P-384 "$(SAN p384.test)"
good ed25519.test -k ed25519 "$(SAN ed25519.test)"
good sha512.test -m sha512 "$(SAN sha512.test)"
good upper.test "$(SAN UPPER.Test)"
good many.test "subjectAltName=DNS:a.test,DNS:b.test,DNS:many.test"
good www.wild.test "subjectAltName=DNS:*.wild.test"
good eku.test "$(SAN eku.test)" "extendedKeyUsage=serverAuth,clientAuth"
issue noname ca / "$(SAN noname.test)"
serve noname.test good noname
issue tls12 ca /CN=x "$(SAN tls12.test)"
serve tls12.test good tls12 1.2 1.2
issue tls13 ca /CN=x "$(SAN tls13.test)"
serve tls13.test good tls13 1.3 1.3
# A jail has a loopback of its own, so that an address must be the host's.
IP=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -m 1 '^[0-9.]*$')
if [ -n "$IP" ]; then
    issue ip ca /CN=x "subjectAltName=IP:$IP"
    serve "$IP" good ip
    issue wrongip ca "/CN=$IP" "subjectAltName=IP:10.99.99.99"
    serve "$IP" "certificate is for 10.99.99.99, not $IP" wrongip
    issue textip ca "/CN=$IP" "subjectAltName=DNS:$IP"
    serve "$IP" "certificate is for $IP, not $IP" textip
else
    skip "addresses in certificates" "this host has no IPv4 address"
fi
authority inter ca "$CA"
issue chain inter /CN=x "$(SAN chain.test)"
serve chain.test good "chain inter"
authority nc ca "$CA" "nameConstraints=critical,permitted;DNS:inside.test"
issue inside nc / "$(SAN a.inside.test)"
serve a.inside.test good "inside nc"
authority path inter "$CA,pathlen:0"
issue deep path /CN=x "$(SAN deep.test)"
serve deep.test good "deep path inter"

# ---- what must not
bad expired.test 'certificate has expired' -f "$BEFORE" -t "$YESTERDAY" \
    "$(SAN expired.test)"
bad future.test 'certificate is not yet valid' -f "$TOMORROW" -t "$AFTER" \
    "$(SAN future.test)"
bad wronghost.test 'certificate is for other.test, not wronghost.test' \
    "$(SAN other.test)"
bad cnonly.test 'certificate is for no host name, not cnonly.test' \
    "basicConstraints=CA:FALSE"
bad ipcn.test 'certificate is for 127.0.0.1, not ipcn.test' "subjectAltName=IP:127.0.0.1"
bad sha1.test 'digest that is too weak' -m sha1 "$(SAN sha1.test)"
bad rsa1024.test 'key that is too small' -k rsa1024 "$(SAN rsa1024.test)"
bad clientonly.test 'is not made for TLS servers' "$(SAN clientonly.test)" \
    "extendedKeyUsage=clientAuth"
bad critical.test 'unhandled critical extension' "$(SAN critical.test)" \
    "1.2.3.4=critical,ASN1:NULL"
bad a.b.wild.test 'certificate is for *.wild.test, not a.b.wild.test' \
    "subjectAltName=DNS:*.wild.test"
bad wild.test 'certificate is for *.wild.test, not wild.test' \
    "subjectAltName=DNS:*.wild.test"
bad single.test 'certificate is for *.test, not single.test' \
    "subjectAltName=DNS:*.test"
bad foo.part.test 'not foo.part.test' "subjectAltName=DNS:f*.part.test"
bad foo.middle.test 'not foo.middle.test' "subjectAltName=DNS:foo.*.test"
bad star.test 'not star.test' "subjectAltName=DNS:*"
# The name up to the NUL would fit: "nul.test" NUL ".evil.test".
bad nul.test 'certificate is for nul.test?.evil.test, not nul.test' \
    "subjectAltName=DER:30:15:82:13:6e:75:6c:2e:74:65:73:74:00:2e:65:76:69:6c:2e:74:65:73:74"
bad dot.test 'not dot.test' "subjectAltName=DNS:.dot.test"
# Weak all the way: no client of TLS 1.3 takes a signature of this curve.
bad p192.test 'no key and cipher that are acceptable' -k prime192v1 "$(SAN p192.test)"

openssl req -x509 -key "$T/ec.key" -subj /CN=self.test -days 2 \
    -addext "$(SAN self.test)" -out "$T/c/self.pem" 2>>"$T/openssl.log"
cp "$T/ec.key" "$T/c/self.key"
serve self.test 'self-signed certificate' self
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$T/c/root2.key" -out "$T/c/root2.pem" -subj '/CN=Authority root2' \
    -days 2 2>>"$T/openssl.log"
issue unknown root2 /CN=x "$(SAN unknown.test)"
serve unknown.test 'not signed by a trusted authority' unknown
issue unsent root2 /CN=x "$(SAN sent.test)"
serve sent.test 'authority "Authority root2" is not trusted' "unsent root2"
# The name of the CA, but not its key.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout "$T/c/double.key" -out "$T/c/double.pem" \
    -subj '/CN=brig test CA' -days 2 2>>"$T/openssl.log"
issue forged double /CN=x "$(SAN forged.test)"
serve forged.test 'is not trusted (forged.test)' "forged double"
issue nointer inter /CN=x "$(SAN nointer.test)"
serve nointer.test 'the server left out one in between' nointer
authority old ca -f "$BEFORE" -t "$YESTERDAY" "$CA"
issue oldinter old /CN=x "$(SAN oldinter.test)"
serve oldinter.test 'authority "Authority old" has expired' "oldinter old"
authority weak ca -m sha1 "$CA"
issue weakinter weak /CN=x "$(SAN weakinter.test)"
serve weakinter.test 'authority "Authority weak" is signed with a digest' \
    "weakinter weak"
authority leafca ca "basicConstraints=critical,CA:FALSE"
issue notca leafca /CN=x "$(SAN notca.test)"
serve notca.test 'authority "Authority leafca" is not one that may sign' \
    "notca leafca"
authority nosign ca "$CA" "keyUsage=critical,digitalSignature"
issue nokeyusage nosign /CN=x "$(SAN nokeyusage.test)"
serve nokeyusage.test 'authority "Authority nosign" is not one that may sign' "nokeyusage nosign"
authority below path "$CA"
issue toodeep below /CN=x "$(SAN toodeep.test)"
serve toodeep.test 'path length constraint exceeded' \
    "toodeep below path inter"
issue outside nc / "$(SAN outside.test)"
serve outside.test 'for which its authority may not sign' "outside nc"
authority excl ca "$CA" "nameConstraints=critical,excluded;DNS:secret.test"
issue excluded excl / "$(SAN a.secret.test)"
serve a.secret.test 'for which its authority may not sign' "excluded excl"
issue tls10 ca /CN=x "$(SAN tls10.test)"
serve tls10.test 'at least 1.2 is needed' tls10 1.0 1.0

background python3 "$BRIG_SRCDIR/tests/proxy/certs_origin.py" "$T/list" \
    "$T/record" >"$T/ports" 2>"$T/origin.err"
wait_for 10 grep -q ready "$T/ports" || {
    sed 's/^/# /' "$T/origin.err"
    echo "Bail out! the servers did not start"
    exit 1
}
# HOST PORT WANT
paste -d ' ' "$T/ports" "$T/cases" | grep -v '^ready' |
    cut -d ' ' -f 1,2,4- >"$T/matrix"
set --
while read -r host port want; do
    case $host in
    *[a-z]*) set -- "$@" "resolve $host 127.0.0.1" ;;
    esac
done <"$T/matrix"
write_conf "$@"
{
    echo 'profile default { default exec allow; default read allow;
        default write allow; default http allow;'
    awk '{ print "allow net " ($1 ~ /[a-z]/ ? "127.0.0.1" : $1) ":" $2 ";" }' \
        "$T/matrix"
    echo '}'
} >"$T/policy/default.policy"
start_brigd
cp "$T/matrix" "$T/ws/"
check "one job asks every server" brig run -w "$T/ws" -- sh -c '
    cd /workspace && while read -r host port want; do
        curl -sS --max-time 20 "https://$host:$port/" >"$port.out" 2>&1
    done <matrix'
cp "$T/record" "$T/record.job"

says() {
    grep -qF -e "$2" "$T/ws/$1.out" || {
        cat "$T/ws/$1.out"
        return 1
    }
}
refused() {
    says "$1" '"upstream_tls"' && says "$1" "$2"
}
unverified() {
    unverified_ip=127.0.0.1
    [ "$1" != "$IP" ] || unverified_ip=$IP
    curl -skS --noproxy '*' --max-time 20 --tlsv1 \
        --ciphers 'ALL:@SECLEVEL=0' --connect-to "::$unverified_ip:$2" \
        "https://$1:$2/" | grep -qx "really $1"
}
while read -r host port want; do
    if [ "$want" = good ]; then
        check "accepted: $host" says "$port" "really $host"
        continue
    fi
    check "refused: $host: $want" refused "$port" "$(
        printf %s "$want" | sed 's/"/\\"/g')"
    check "$host: control: it is there" unverified "$host" "$port"
    if [ "$host" != "$IP" ]; then
        check "$host: no request reached it" sh -c \
            '! grep "^$1 " "$2"' sh "$host" "$T/record.job"
    fi
done <"$T/matrix"
finish
