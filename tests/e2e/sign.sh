#!/bin/sh
# Requests that a job signs with a stub arrive with a signature that is right:
# AWS's, made by curl and openssl in the job and checked by an origin of its
# own mind, and a webhook's.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# sign_origin HOST SECRET: a server that checks; its port in $PORT.
sign_origin() {
    make_cert "$1"
    background python3 "$BRIG_SRCDIR/tests/e2e/sign_origin.py" \
        "$T/$1.pem" "$T/$1.key" AKIAREALKEY "$2" \
        >"$T/$1.out" 2>"$T/$1.err"
    wait_for 10 grep -q listening "$T/$1.out"
    PORT=$(awk '/listening/ { print $2 }' "$T/$1.out")
}

attack_setup sign
sign_origin aws.test "$CANARY"
AWS=$PORT
sign_origin hook.test "$CANARY"
HOOK=$PORT
stop_brigd
for h in aws hook; do
    echo "resolve $h.test 127.0.0.1" >>"$T/brigd.conf"
done
attack_policy "allow http {GET,PUT,POST} https://aws.test:$AWS/**;" \
    "allow http {GET,PUT,POST} https://hook.test:$HOOK/**;" \
    "allow net 127.0.0.1:$AWS;" "allow net 127.0.0.1:$HOOK;"
start_brigd
printf %s "$CANARY" | brig secret add aws --kind sigv4 --user AKIAREALKEY \
    --host "aws.test:$AWS" --env AWS_SECRET_ACCESS_KEY >/dev/null
printf %s "$CANARY" | brig secret add hook --kind hmac \
    --host "hook.test:$HOOK" --env HOOK_KEY \
    --hmac "header=X-Hub-Signature-256,alg=sha256,encoding=hex,prefix=sha256=,signed={body}" \
    >/dev/null
S="curl -sS -f -w %{http_code} --user AKIAREALKEY:\$AWS_SECRET_ACCESS_KEY"
S3="$S --aws-sigv4 aws:amz:us-east-1:s3"
DYNAMO="$S --aws-sigv4 aws:amz:eu-west-1:dynamodb"
A=https://aws.test:$AWS

# is_said N TEXT: so often in what the job has printed.
is_said() {
    [ "$(grep -oF -e "$2" "$T/job.out" | wc -l)" = "$1" ] || {
        cat "$T/job.out"
        return 1
    }
}

# saw HOST RESULT METHOD: the last request there.
saw() {
    tail -n 1 "$T/$1.err" | grep -q "^signature $2 $3 "
}

check "control: from outside the stub's signature is wrong" sh -c '
    curl -sS --cacert "$T/ca.pem" --resolve "aws.test:$1:127.0.0.1" \
        --user AKIAREALKEY:stub --aws-sigv4 aws:amz:us-east-1:s3 \
        "https://aws.test:$1/b/k" | grep -q wrong' - "$AWS"
check "GET with a query is signed anew" job \
    "$S3 '$A/bucket/a%20key?list-type=2&prefix=x%2Fy'"
check "the origin finds it right" saw aws.test ok GET
check "PUT with a body is signed anew" job "head -c 200000 /dev/urandom >f &&
    $S3 -T f $A/bucket/f"
check "the origin finds it right, and the body whole" saw aws.test ok "PUT 200000"
check "POST to a service that wants the hash of the body" job \
    "$DYNAMO -d '{\"TableName\":\"t\"}' -H 'Content-Type: application/x-amz-json-1.0' $A/"
check "the origin finds it right" saw aws.test ok "POST 17"
# presign.sh KEY ORIGIN [TIME]: a URL that is good for ten minutes, made by openssl.
cat >"$T/ws/presign.sh" <<'PRESIGN_END'
mac() {
    printf %s "$2" | openssl dgst -sha256 -mac HMAC -macopt "hexkey:$1" |
        sed 's/.* //'
}
hex() {
    printf %s "$1" | od -An -v -tx1 | tr -d ' \n'
}
t=${3-$(date -u +%Y%m%dT%H%M%SZ)} d=${3-$(date -u +%Y%m%d)}
d=${d%T*}
q="X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAREALKEY%2F$d%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=$t&X-Amz-Expires=600&X-Amz-SignedHeaders=host"
host=${2#https://}
sum=$(printf 'GET\n/bucket/k\n%s\nhost:%s\n\nhost\nUNSIGNED-PAYLOAD' \
    "$q" "$host" | openssl dgst -sha256 | sed 's/.* //')
k=$(hex "AWS4$1")
for part in "$d" us-east-1 s3 aws4_request; do
    k=$(mac "$k" "$part")
done
s=$(mac "$k" "$(printf 'AWS4-HMAC-SHA256\n%s\n%s/us-east-1/s3/aws4_request\n%s' "$t" "$d" "$sum")")
echo "$2/bucket/k?$q&X-Amz-Signature=$s"
PRESIGN_END
check "control: a URL so presigned is right" direct_curl aws.test "$AWS" -f \
    "$(sh "$T/ws/presign.sh" "$CANARY" "$A")"
check "a presigned URL, made with the stub, is signed anew" job \
    "curl -sS -f \"\$(sh presign.sh \"\$AWS_SECRET_ACCESS_KEY\" $A)\""
check "the origin finds it right" saw aws.test ok GET
: >"$T/aws.test.err"
job "curl -sS \"\$(sh presign.sh attackers-own $A)\"
    curl -sS --user AKIAOTHER:other --aws-sigv4 aws:amz:us-east-1:s3 $A/b/k
    curl -sS --user AKIAOTHER:other --aws-sigv4 aws:amz:eu-west-1:dynamodb \
        -d '{\"TableName\":\"t\"}' $A/"
check "what is signed with somebody else's key is refused, and says why" \
    is_said 3 "is not made with the placeholder of credential"
check "and does not reach the origin" test ! -s "$T/aws.test.err"
check "a placeholder under any key id will do" job "curl -sS -f \
    --user AKIAOTHER:\$AWS_SECRET_ACCESS_KEY --aws-sigv4 aws:amz:us-east-1:s3 $A/b/k"
check "the origin sees the real key id" saw aws.test ok GET
job "curl -sS \"\$(sh presign.sh \"\$AWS_SECRET_ACCESS_KEY\" $A 20150830T123600Z)\""
check "a signature of another year is refused, and says why" \
    is_said 1 "not of these days"
check "keyd recorded what each key is for" sh -c '
    grep -h KY101 "$T"/log/*.jsonl | grep -q "us-east-1/s3" &&
    grep -h KY101 "$T"/log/*.jsonl | grep -q "eu-west-1/dynamodb"'

check "webhook: a body signed with the stub is signed anew" job '
    printf %s "{\"a\":1}" >b
    s=$(openssl dgst -sha256 -hmac "$HOOK_KEY" b | sed "s/.* //")
    curl -sS -f -H "X-Hub-Signature-256: sha256=$s" --data-binary @b \
        "https://hook.test:'"$HOOK"'/hook"'
check "webhook: the origin finds it right" saw hook.test ok "POST 7"
attack_end
