#!/bin/sh
# What is removed from the vault leaves its file, and kill -9 of keyd or of
# brigd at any moment of that loses nothing that was acknowledged.
# shellcheck disable=SC2016
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup vault
V=$T/state/vault

add() {
    printf %s "$2" | brig secret add "$1" --host "$1.test" >/dev/null
}
inode() { stat -c %i "$V"; }
changed() { test "$(inode)" != "$was"; }
names() { brig secret list | awk 'NR > 1 { print $1 }' | sort | tr '\n' ' '; }

add gone "$(random_token)"
add kept "$(random_token)"
was=$(inode)
full=$(stat -c %s "$V")
brig secret rm gone
check "the file is replaced once a secret is removed" wait_for 20 changed
check "it is smaller" sh -c 'test "$(stat -c %s "$0")" -lt "$1"' "$V" "$full"
check "only keyd's user can read it" sh -c \
    'test "$(stat -c %a:%u "$0")" = 600:1879099002' "$V"
check "nothing is left beside it" sh -c '! test -e "$0.new"' "$V"
check "the rest is there" test "$(names)" = "good kept other "

# A process of a role, by its id.
keyd_pid() {
    brig --json status | python3 -c '
import json, sys
for p in json.load(sys.stdin)["processes"]:
    if p["role"] == "keyd":
        print(p["pid"])'
}
i=0
expected="good kept other"
while [ $i -lt 12 ]; do
    i=$((i + 1))
    add "s$i" "$(random_token)" && expected="$expected s$i"
    add "r$i" "$(random_token)" && brig secret rm "r$i"
    # Between nothing and somewhat more than it takes to write it anew.
    sleep "$(awk "BEGIN { print 1.7 + $i * 0.06 }")"
    if [ $((i % 4)) -eq 0 ]; then
        kill -9 "$BRIGD_PID"
        wait "$BRIGD_PID" 2>/dev/null
        start_brigd
    else
        kill -9 "$(keyd_pid)"
        wait_for 10 brig secret list
    fi
done
wait_for 10 brig secret list
expected=$(echo "$expected" | tr ' ' '\n' | sort | tr '\n' ' ')
check "nothing acknowledged is lost, nothing removed comes back" \
    test "$(names)" = "$expected"
was=$(inode)
add last "$(random_token)"
brig secret rm last
check "and it is still replaced" wait_for 20 changed
job "curl -sS -H \"Authorization: Bearer \$GOOD_TOKEN\" https://good.test:$GOOD/x"
check "control: a secret of before is still the right one" \
    reached good.test "Bearer $CANARY"

# A file that lost its end is not taken for whole.
stop_brigd
size=$(stat -c %s "$V")
truncate -s $((size - 1)) "$V"
brigd -f "$T/brigd.conf" 2>"$T/cut.log" &
cut=$!
check "a vault that lost its end is refused, with the reason" \
    wait_for 10 grep -q "the vault has lost its end" "$T/cut.log"
kill "$cut" 2>/dev/null
wait "$cut" 2>/dev/null
finish
