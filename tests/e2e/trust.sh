#!/bin/sh
# Every client in the jail trusts what the proxy shows it, without a setting of
# its own: the bundle, the variables, Java's trust store.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

attack_setup trust
G="https://good.test:$GOOD"

check "every variable that names a file names one that is there" job '
    for v in SSL_CERT_FILE NODE_EXTRA_CA_CERTS REQUESTS_CA_BUNDLE \
        CURL_CA_BUNDLE GIT_SSL_CAINFO DENO_CERT CARGO_HTTP_CAINFO \
        AWS_CA_BUNDLE PIP_CERT NIX_SSL_CERT_FILE npm_config_cafile \
        GRPC_DEFAULT_SSL_ROOTS_FILE_PATH YARN_HTTPS_CA_FILE_PATH; do
        eval "f=\$$v"
        grep -q "BEGIN CERTIFICATE" "$f" || { echo "$v: $f"; exit 1; }
    done'
check "the trust store is PKCS#12 and holds the whole bundle" job '
    openssl pkcs12 -in /etc/ssl/certs/java/cacerts -nokeys -passin pass: \
        -nomacver >/tmp/all.pem &&
    have=$(grep -c "BEGIN CERTIFICATE" /tmp/all.pem) &&
    want=$(grep -c "BEGIN CERTIFICATE" "$SSL_CERT_FILE") &&
    echo "$have of $want" && test "$have" = "$want" && test "$have" -gt 1'
check "the same certificates, byte for byte" job '
    one() {
        awk -v n="$2" "/BEGIN CERT/ { i++ } i == n" "$1" |
            openssl x509 -noout -fingerprint -sha256
    }
    openssl pkcs12 -in /etc/ssl/certs/java/cacerts -nokeys -passin pass: \
        -nomacver >/tmp/all.pem
    last=$(grep -c "BEGIN CERTIFICATE" /tmp/all.pem)
    for n in 1 2 "$last"; do
        test "$(one /tmp/all.pem $n)" = "$(one "$SSL_CERT_FILE" $n)" || exit 1
    done'
check "a job cannot change either" job '
    ! (echo x >>/etc/ssl/certs/java/cacerts) 2>/dev/null &&
    ! (echo x >>"$SSL_CERT_FILE") 2>/dev/null'

check "curl" job "curl -sSf $G/curl"
check "python" job "python3 -c '
import urllib.request
urllib.request.urlopen(\"$G/python\").read()'"
check "node: https and fetch" job "node -e '
fetch(\"$G/node\").then(r => r.text()).then(() => require(\"https\")
    .get(\"$G/https\", r => process.exit(r.statusCode == 200 ? 0 : 1)))'"
check "openssl with its defaults" job "
    echo | openssl s_client -connect good.test:$GOOD -servername good.test \
        -verify_return_error -brief 2>&1 | grep -q 'Verification: OK'"

# Clients that insist on a list of what is revoked.
check "openssl (control): there is no list but what it fetches" job "
    ! echo | openssl s_client -connect good.test:$GOOD -servername good.test \
        -crl_check -verify_return_error -brief >/tmp/out 2>&1 &&
    grep -q 'unable to get certificate CRL' /tmp/out"
check "openssl fetches the list and is content" job "
    echo | openssl s_client -connect good.test:$GOOD -servername good.test \
        -crl_check -crl_download -verify_return_error -brief 2>&1 |
        grep -q 'Verification: OK'"
check "the list is there for others, too" job '
    curl -sSf -o /tmp/crl http://crl.brig.internal/ca.crl &&
    openssl crl -inform DER -in /tmp/crl -noout -issuer -nextupdate |
        grep -q "brig interception CA" &&
    curl -sSf -I http://crl.brig.internal/ca.crl | grep -qi pkix-crl &&
    ! curl -sSf -o /dev/null http://crl.brig.internal/other 2>/dev/null'
check "several at once" job '
    for i in 1 2 3 4 5 6 7 8; do
        curl -sSf -o /tmp/crl$i http://crl.brig.internal/ca.crl &
    done
    wait
    for i in 1 2 3 4 5 6 7 8; do
        openssl crl -inform DER -in /tmp/crl$i -noout -lastupdate || exit 1
    done'

# Rotation: what runs goes on, what starts trusts the new one, and the old one
# is no longer used.
issuer='openssl s_client -connect good.test:'$GOOD' -servername good.test \
    -verify_return_error </dev/null 2>/dev/null | openssl x509 -noout -issuer'
cat >"$T/ws/rotate.sh" <<JOB_END
curl -sSf -o /dev/null $G/before && $issuer >/workspace/ca.before
touch /workspace/ready
until [ -e /workspace/go ]; do sleep 0.1; done
curl -sSf -o /dev/null $G/after && $issuer >/workspace/ca.after
JOB_END
brig submit -w "$T/ws" -- sh /workspace/rotate.sh >"$T/rotated"
wait_for 20 test -e "$T/ws/ready"
brig ca show >"$T/ca.old"
check "two CAs are trusted" sh -c '[ "$(grep -c BEGIN "$T/ca.old")" = 2 ]'
check "brig ca rotate" brig ca rotate
brig ca show >"$T/ca.new"
check "the next one is in use" sh -c '
    first() { openssl x509 -in "$1" -noout -subject; }
    second() { awk "/BEGIN/ { i++ } i == 2" "$1" |
        openssl x509 -noout -subject; }
    [ "$(first "$T/ca.new")" = "$(second "$T/ca.old")" ] &&
    [ "$(first "$T/ca.new")" != "$(first "$T/ca.old")" ] &&
    [ "$(second "$T/ca.new")" != "$(second "$T/ca.old")" ]'
touch "$T/ws/go"
check "the running job goes on" brig wait "$(cat "$T/rotated")"
check "under the new CA" sh -c '
    grep -q "brig interception CA" "$T/ws/ca.before" &&
    grep -q "brig interception CA" "$T/ws/ca.after" &&
    ! cmp -s "$T/ws/ca.before" "$T/ws/ca.after"'
check "a new job is content" job "curl -sSf -o /dev/null $G/new"
check "it is on record" audited '"KY205"' '"ca.rotate"'
stop_brigd
start_brigd
check "after a restart, too" job "curl -sSf -o /dev/null $G/restarted"
brig ca show >"$T/ca.restarted"
check "with the same two" cmp "$T/ca.new" "$T/ca.restarted"

# What servers are verified with is read again with the policy, for running
# jobs as well.
cat >"$T/ws/reload.sh" <<JOB_END
for step in before between after; do
    until [ -e /workspace/\$step ]; do sleep 0.1; done
    curl -sS -o /dev/null -w '%{http_code}\n' $G/\$step >/workspace/code
    mv /workspace/code /workspace/\$step.code
done
JOB_END
step() {
    touch "$T/ws/$1"
    wait_for 20 test -e "$T/ws/$1.code"
    [ "$(cat "$T/ws/$1.code")" = "$2" ] || {
        echo "got $(cat "$T/ws/$1.code"), wanted $2"
        return 1
    }
}
brig submit -w "$T/ws" -- sh /workspace/reload.sh >"$T/reloaded"
check "control: the server is trusted" step before 200
cp "$T/ca.pem" "$T/ca.kept"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout /dev/null -out "$T/ca.pem" -subj "/CN=brig test CA" 2>/dev/null
brig policy reload >/dev/null
check "another authority, and a reload: the server is not" step between 502
cp "$T/ca.kept" "$T/ca.pem"
brig policy reload >/dev/null
check "the first one again: it is trusted again" step after 200
check "all in one job" brig wait "$(cat "$T/reloaded")"

# Java reads its store only when it is used: a program that fetches something.
if command -v javac >/dev/null 2>&1; then
    cat >"$T/ws/Fetch.java" <<'JAVA_END'
public class Fetch {
    public static void main(String[] a) throws Exception {
        var c = (javax.net.ssl.HttpsURLConnection)
            new java.net.URL(a[0]).openConnection();
        System.out.println(c.getResponseCode());
    }
}
JAVA_END
    check "java (control): with another store it refuses the proxy" job "
        cd /tmp && javac -d . /workspace/Fetch.java 2>/dev/null &&
        awk '/BEGIN CERT/ { i++ } i == 1' \$SSL_CERT_FILE >one.pem &&
        keytool -importcert -noprompt -alias one -file one.pem \
            -keystore one.p12 -storepass changeit 2>/dev/null &&
        ! JAVA_TOOL_OPTIONS=-Djavax.net.ssl.trustStore=/tmp/one.p12 \
            java -cp . Fetch $G/java 2>err && grep -q PKIX err"
    check "java: HttpsURLConnection" job "
        cd /tmp && javac -d . /workspace/Fetch.java 2>/dev/null &&
        java -cp . Fetch $G/java | grep -qx 200"
    check "java: as Debian's own store, without a variable" job "
        cd /tmp && javac -d . /workspace/Fetch.java 2>/dev/null &&
        env -u JAVA_TOOL_OPTIONS java -cp . Fetch $G/java | grep -qx 200"
    check "java: with a check of revocation" job "
        cd /tmp && javac -d . /workspace/Fetch.java 2>/dev/null &&
        java -Dcom.sun.security.enableCRLDP=true \
            -Dcom.sun.net.ssl.checkRevocation=true -cp . Fetch $G/java |
            grep -qx 200"
else
    skip "java: HttpsURLConnection" "no Java compiler"
fi

attack_end
