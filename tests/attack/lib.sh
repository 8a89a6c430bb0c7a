# Common ground of the attack cases.  After `attack_setup NAME` there are:
#   good.test:$GOOD      a TLS origin with the secret `good` ($CANARY, $GOOD_ENV)
#   evil.test:$EVIL      a TLS origin that policy allows, without a secret
#   other.test:$OTHER    a TLS origin with a secret of its own ($OTHER_REAL)
#   plain.test:$PLAIN    a plain HTTP origin that policy allows
#   $T/ws                a workspace with brig-probe in it
# Every case proves first, by a control run, that its target is there.
# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154,SC2016

# shellcheck source=../lib.sh
. "$BRIG_SRCDIR/tests/lib.sh"

random_token() {
    printf 'ghp_'
    head -c 96 /dev/urandom | base64 -w0 | tr -dc 'A-Za-z0-9' | cut -c1-36
}

# The policy; extra lines go into the profile.
attack_policy() {
    cat >"$T/policy/default.policy" <<EOF
profile default {
    default exec allow;  default read allow;  default write allow;
    default http deny;
    allow http {GET,HEAD,POST,PUT} https://good.test:$GOOD/**;
    allow http {GET,HEAD,POST,PUT} https://evil.test:$EVIL/**;
    allow http {GET,HEAD,POST,PUT} https://other.test:$OTHER/**;
    allow http {GET,HEAD,POST,PUT} http://plain.test:$PLAIN/**;
    allow net 127.0.0.1:$GOOD;  allow net 127.0.0.1:$EVIL;
    allow net 127.0.0.1:$OTHER; allow net 127.0.0.1:$PLAIN;
$(printf '    %s\n' "$@")
}
EOF
}

attack_setup() {
    setup "$1"
    shift
    make_ca
    start_origin good.test
    GOOD=$ORIGIN_PORT
    start_origin evil.test
    EVIL=$ORIGIN_PORT
    start_origin other.test
    OTHER=$ORIGIN_PORT
    start_origin plain.test plain
    PLAIN=$ORIGIN_PORT
    CANARY=$(random_token)
    OTHER_REAL=$(random_token)
    write_conf "resolve good.test 127.0.0.1" "resolve evil.test 127.0.0.1" \
        "resolve other.test 127.0.0.1" "resolve plain.test 127.0.0.1" \
        "resolve evilgood.test 127.0.0.1" \
        "resolve good.test.evil.test 127.0.0.1" \
        "resolve meta.test 169.254.169.254"
    attack_policy "$@"
    start_brigd
    printf %s "$CANARY" | brig secret add good --host "good.test:$GOOD" \
        --surface header:Authorization --surface basic --env GOOD_TOKEN \
        >/dev/null
    printf %s "$OTHER_REAL" | brig secret add other \
        --host "other.test:$OTHER" --env OTHER_TOKEN >/dev/null
    mkdir -p "$T/ws"
    cp "$BRIG_BUILDDIR/tests/attack/brig-probe" "$T/ws/"
}

# job SCRIPT: run it in a jail with the workspace; output in $T/job.out.
job() {
    job_rc=0
    timeout "$(bound 60)" brig run -w "$T/ws" -- sh -c "$1" \
        >"$T/job.out" 2>&1 </dev/null || job_rc=$?
    return $job_rc
}

# outside COMMAND...: a control run on the host.
outside() {
    timeout "$(bound 20)" "$@" >"$T/outside.out" 2>&1
}

# The direct way to an origin: what a request looks like without a jail.
direct_curl() {
    direct_host=$1
    direct_port=$2
    shift 2
    timeout "$(bound 20)" curl -sS --noproxy '*' --cacert "$T/ca.pem" \
        --resolve "$direct_host:$direct_port:127.0.0.1" "$@" \
        >"$T/outside.out" 2>&1
}

reached() {
    grep -qF -e "$2" "$T/$1.rec"
}

not_reached() {
    if grep -F -e "$2" "$T/$1.rec"; then
        return 1
    fi
}

job_says() {
    grep -qF -e "$1" "$T/job.out" || {
        cat "$T/job.out"
        return 1
    }
}

job_does_not_say() {
    if grep -F -e "$1" "$T/job.out"; then
        return 1
    fi
}

# One record of the audit log holds all the words.
audited() {
    audited_lines=$(cat "$T"/log/*.jsonl)
    for audited_word in "$@"; do
        audited_lines=$(printf '%s\n' "$audited_lines" |
            grep -F -e "$audited_word") || {
            echo "no audit record with: $*"
            tail -n 5 "$T"/log/*.jsonl
            return 1
        }
    done
}

not_audited() {
    if grep -hF -e "$1" "$T"/log/*.jsonl; then
        return 1
    fi
}

# spellings VALUE: raw, reversed, hex, percent and base64 at three offsets.
spellings() {
    printf '%s\n' "$1"
    printf '%s\n' "$1" | rev
    printf %s "$1" | od -An -v -tx1 | tr -d ' \n'
    echo
    printf %s "$1" | od -An -v -tx1 | tr -d '\n' | sed 's/ /%/g'
    echo
    # The middle of each encoding does not depend on what stands around it.
    printf %s "$1" | base64 -w0 | cut -c1-44
    printf 'x%s' "$1" | base64 -w0 | cut -c5-44
    printf 'xx%s' "$1" | base64 -w0 | cut -c5-44
}

# no_canary FILE...: none of the real values in any spelling.
no_canary() {
    { spellings "$CANARY"; spellings "$OTHER_REAL"; } >"$T/spellings"
    if grep -aliF -f "$T/spellings" "$@"; then
        return 1
    fi
}

# Oracles that hold after every script.
attack_end() {
    check "no real value in the audit log, brigd's log or the job output" \
        no_canary "$T"/log/*.jsonl "$T/brigd.log" "$T/job.out"
    check "the other host never got a real value" no_canary "$T/evil.test.rec"
    check "the audit log verifies" brig audit verify
    check "brigd still answers" brig status
    finish
}
