#!/bin/sh
# brig policy check, test and explain, and the loader behind them.  Prints
# TAP.
brig="${BRIG_BUILDDIR:-.}/tests/policy/policy_cmd"
src="${BRIG_SRCDIR:-.}"
T=$(mktemp -d) || exit 1
trap 'rm -rf "$T"' EXIT
n=0
bad=0

# expect STATUS NAME COMMAND...: output in $T/out.
expect() {
    want=$1
    name=$2
    shift 2
    n=$((n + 1))
    "$@" >"$T/out" 2>&1
    got=$?
    if [ "$got" = "$want" ]; then
        echo "ok $n - $name"
    else
        bad=1
        echo "not ok $n - $name (exit $got, not $want)"
        sed 's/^/# /' "$T/out"
    fi
}

# says NAME TEXT: the last output holds TEXT.
says() {
    n=$((n + 1))
    if grep -qF -e "$2" "$T/out"; then
        echo "ok $n - $1"
    else
        bad=1
        echo "not ok $n - $1"
        sed 's/^/# /' "$T/out"
    fi
}

expect 0 "sample policies pass check" \
    "$brig" check --any-owner "$src/contrib/policies"
says "check says who enforces a rule" "exec-stop"
expect 0 "check speaks JSON" \
    "$brig" check --json --any-owner "$src/contrib/policies"
says "JSON names the enforcer" '"enforced_by": "proxy"'
expect 1 "mistakes fail the check" \
    "$brig" check --any-owner "$src/tests/policy/mistakes.policy"
says "a mistake has its place" 'mistakes.policy:3:1:'
expect 0 "embedded tests of the samples pass" \
    "$brig" test "$src/contrib/policies"

# Warnings: each of these policies is loaded, and said to hold less than it
# looks like.
warns() {
    printf 'profile p {\n%s\n}\n' "$2" >"$T/w.policy"
    expect 0 "warned about: $1" "$brig" check --any-owner "$T/w.policy"
    says "with its place: $1" "w.policy:$3: warning: "
    expect 1 "an error with --strict: $1" \
        "$brig" check --strict --any-owner "$T/w.policy"
}
warns "an interpreter beside denied programs" \
    'deny exec rm ...; allow exec python3 ...;' 2
warns "busybox with any arguments" 'allow exec busybox ...;' 2
warns "git with any subcommand" 'allow exec git ...;' 2
warns "a way to call an interpreter" \
    'allow exec bash ...; deny exec bash -c ...;' 2
warns "a denied file that can be copied" 'deny exec workspace/evil ...;' 2
warns "denied programs where anything may run" \
    'default exec allow; deny exec rm ...;' 1
warns "a denied program that may run with any argument" \
    'default exec allow; deny exec curl;' 2
warns "rules that nobody enforces" 'sandbox trace off; deny exec rm ...;' 1
says "as an error" ": error: "
expect 1 "--strict in JSON" \
    "$brig" check --json --strict --any-owner "$T/w.policy"
says "JSON lists warnings" '"warnings": ['
printf 'profile p {\ndeny exec rm ...; allow exec {perl,awk} ... because "x";
allow exec {sh,env,xargs} ...; allow exec git {log,status} ...;
allow exec busybox {ls,cat} ...; deny exec workspace/** ...;
deny exec python3 ...; }\n' >"$T/w.policy"
expect 0 "nothing is said of what is meant" \
    "$brig" check --strict --any-owner "$T/w.policy"
expect 0 "the samples for people have no warning" "$brig" check --strict \
    --any-owner "$src/contrib/policies/coding.policy"

# Called through expect.
# shellcheck disable=SC2317
explain() {
    "$brig" explain -f "$src/contrib/policies" -p coding "$@"
}
expect 0 "explain: allow is 0" explain exec -- git -C x status
expect 10 "explain: ask is 10" explain exec -- git -C x push
says "explain shows the request as matched" "git push"
expect 20 "explain: deny is 20" explain exec -- git push -f
says "explain shows the reason" "no history rewrites"
expect 20 "explain http" explain http GET https://example.org/
expect 0 "explain read" explain read workspace/a
expect 20 "explain write" explain write /etc/passwd
expect 20 "explain net" explain net 127.0.0.1:80
printf 'profile p { allow model a/b* max-output 100; }\n' >"$T/m.policy"
expect 0 "explain model" "$brig" explain -f "$T/m.policy" model a/b1 100
expect 20 "explain model: more than allowed" \
    "$brig" explain -f "$T/m.policy" model a/b1 101
says "and why" "may take 101 tokens of output; 100 are allowed"
expect 64 "explain model: a limit is a number" \
    "$brig" explain -f "$T/m.policy" model a/b1 many
printf 'profile p { sandbox trace off; deny exec rm ...; }\n' >"$T/w.policy"
expect 20 "explain: what nobody enforces is still the rule's answer" \
    "$brig" explain -f "$T/w.policy" exec -- rm x
says "marked as advice" "nobody enforces it: sandbox trace off"
expect 20 "likewise in JSON" "$brig" explain --json -f "$T/w.policy" exec -- rm x
says "with a field" '"advisory": true'
expect 64 "explain without a request is a usage error" explain
expect 64 "an unknown class is a usage error" explain mcp x/y
expect 1 "an unknown profile is named" \
    "$brig" explain -f "$src/contrib/policies" -p nobody read /x

mkdir "$T/d"
chmod 755 "$T" "$T/d"
expect 1 "an empty folder is an error" "$brig" check --any-owner "$T/d"
echo 'include "b.inc"; profile p { }' >"$T/d/a.policy"
echo 'default exec allow;' >"$T/d/b.inc"
echo 'nonsense' >"$T/d/c.txt"
expect 0 "a folder gives *.policy, and *.inc for inclusion" \
    "$brig" check --any-owner "$T/d"
expect 0 "a file may include what lies beside it" \
    "$brig" explain -f "$T/d/a.policy" exec -- ls
if [ "$(id -u)" = 0 ]; then
    chown 0:0 "$T/d" "$T/d/a.policy" "$T/d/b.inc"
    chmod 644 "$T/d/a.policy" "$T/d/b.inc"
    expect 0 "root's files pass the owner check" "$brig" check "$T/d"
    chmod g+w "$T/d/b.inc"
    expect 1 "a group-writable file is an error" "$brig" check "$T/d"
    says "the file is named" "b.inc is writable by others than root"
    expect 0 "--any-owner reads it all the same" \
        "$brig" check --any-owner "$T/d"
    chmod 644 "$T/d/b.inc"
    chown 12345 "$T/d/b.inc"
    expect 1 "a file of somebody else is an error" "$brig" check "$T/d"
    chown 0 "$T/d/b.inc"
    chmod 777 "$T/d"
    expect 1 "a world-writable folder is an error" "$brig" check "$T/d"
    chmod 755 "$T/d"
    ln -s a.policy "$T/d/l.policy"
    expect 1 "a link in the folder is an error" "$brig" check "$T/d"
else
    n=$((n + 1))
    echo "ok $n # SKIP owner checks need root"
fi
echo "1..$n"
exit $bad
