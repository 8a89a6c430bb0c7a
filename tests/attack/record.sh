#!/bin/sh
# Attacks on the audit log: text that tries to be records, and a log that has
# been changed.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-record

E="https://evil.test:$EVIL"
job 'n=$(printf "x\n{\"v\":1,\"seq\":1,\"code\":\"FAKE1\"}\n")
/bin/echo "$n" "\",\"code\":\"FAKE2\",\"x\":\"" "$(printf "\033[2K\r\342\200\256")"
curl -sS -m 10 "'"$E"'/a82?\",\"code\":\"FAKE3\"&x=1"
curl -sS -m 10 "'"$E"'/a82%0a%7b%22code%22%3a%22FAKE4%22%7d"
curl -sS -m 10 -H "X: \",\"code\":\"FAKE5\"" '"$E"'/a82-header
curl -sS -m 10 -A "$(printf "a\tb\",\"code\":\"FAKE6\"")" '"$E"'/a82-agent'
stop_brigd
log=$(find "$T/log" -name '*.jsonl')
check "82 control: the attempts are in the log" grep -q a82 "$log"
check "82 the log verifies as it is" brig audit verify --file "$log"
check "82 every line is one JSON object with one code" python3 - "$log" <<'EOF'
import json, re, sys
def pairs(p):
    keys = [k for k, _ in p]
    assert len(keys) == len(set(keys)), keys
    return dict(p)
for line in open(sys.argv[1], 'rb'):
    text = line.decode('utf-8')
    r = json.loads(text, object_pairs_hook=pairs)
    assert re.fullmatch(r'[A-Z]{2}\d{3}', r['code']), r['code']
    assert not re.search(r'[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u2028-\u202e]', text.rstrip('\n')), text
EOF

# tampered NAME STATUS...: verify $T/t.jsonl must end with one of the statuses.
tampered() {
    tampered_name=$1
    shift
    tampered_rc=0
    brig audit verify --file "$T/t.jsonl" >"$T/verify.out" 2>&1 ||
        tampered_rc=$?
    tampered_hit=no
    for tampered_want in "$@"; do
        [ $tampered_rc != "$tampered_want" ] || tampered_hit=yes
    done
    check "82 $tampered_name: found, status $tampered_rc" \
        test $tampered_hit = yes
}
lines=$(wc -l <"$log")
check "82 control: the log is long enough to play with" test "$lines" -ge 8
sed '5d' "$log" >"$T/t.jsonl"
tampered "a record deleted" 1
sed '5{h;d};6{G}' "$log" >"$T/t.jsonl"
tampered "two records swapped" 1
{ cat "$log"; sed -n '4,6p' "$log"; } >"$T/t.jsonl"
tampered "a tail replayed" 1
sed '5s/"sev":[0-9]/"sev":5/' "$log" >"$T/t.jsonl"
cmp -s "$log" "$T/t.jsonl" && sed '5s/"sev":[0-9]/"sev":4/' "$log" >"$T/t.jsonl"
tampered "one digit changed" 1
check "82 the first bad record and its offset are named" sh -c '
    grep -q "record 5" "$0" && grep -qE "(offset|byte) [0-9]+" "$0"' \
    "$T/verify.out"
sed '5{p}' "$log" >"$T/t.jsonl"
tampered "a record doubled" 1
sed '1d' "$log" >"$T/t.jsonl"
tampered "the first record deleted" 1 2
head -c -20 "$log" >"$T/t.jsonl"
tampered "a torn last line" 2
: >"$T/t.jsonl"
tampered "an empty log" 2
echo 'profile off extends default { sandbox trace off; deny exec true ...; }' \
    >>"$T/policy/default.policy"
start_brigd
brig run -w "$T/ws" -- true >/dev/null
check "a job without exec rules does what they deny" \
    brig run -p off -w "$T/ws" -- true
check "and its record says that they are advisory" sh -c '
    grep -h "\"code\":\"JB101\"" "$0"/log/*.jsonl |
        grep "\"profile\":\"off\"" | grep -q "\"exec_rules\":\"advisory\""' "$T"
check "that of another job that they are enforced" sh -c '
    grep -h "\"code\":\"JB101\"" "$0"/log/*.jsonl |
        grep "\"profile\":\"default\"" |
        grep -q "\"exec_rules\":\"enforced\""' "$T"
: >"$T/job.out"
attack_end
