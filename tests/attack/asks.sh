#!/bin/sh
# Questions about requests: nobody there, the job gone, the policy changed, a
# second answer, the processes stopped or killed.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-asks
attack_policy "ask http DELETE https://good.test:$GOOD/**;"
brig policy reload >/dev/null
G="https://good.test:$GOOD"
auth='-H "Authorization: Bearer $GOOD_TOKEN"'

ask_is_open() {
    brig asks | grep -q A-
}

ask_id() {
    brig asks | grep -o 'A-[0-9]*' | head -n 1
}

# asking PATH: a job that asks, in the background; its pid in $asker.
asking() {
    background brig run -w "$T/ws" -- sh -c \
        "curl -sS -m 60 -X DELETE $auth $G/$1" >"$T/asker.out" 2>&1 </dev/null
    asker=$LAST_PID
    wait_for 10 ask_is_open
}

asking control
id=$(ask_id)
check "76 control: an approved request passes" brig approve "$id"
wait "$asker"
check "76 control: and reached the host" reached good.test /control
check "76 a second answer is refused" sh -c '! brig approve "$0"' "$id"

asking gone
id=$(ask_id)
kill "$asker"
wait "$asker" 2>/dev/null
check "76 the ask of a job that is gone closes" \
    wait_for 15 sh -c '! brig asks | grep -q A-'
check "76 a late approval is refused" sh -c '! brig approve "$0"' "$id"
check "76 nothing of it was sent" not_reached good.test /gone

asking changed
id=$(ask_id)
attack_policy "deny http DELETE https://good.test:$GOOD/**;"
brig policy reload >/dev/null
brig approve "$id" >/dev/null 2>&1
wait "$asker"
check "78 a denial that came meanwhile beats the approval" \
    grep -q policy_denied "$T/asker.out"
check "78 nothing of it was sent" not_reached good.test /changed

attack_policy "ask http DELETE https://good.test:$GOOD/**;" \
    "ask unattended deny;"
brig policy reload >/dev/null
rm -f "$T/ws/unattended"
brig submit -w "$T/ws" -- sh -c \
    "curl -sS -m 60 -X DELETE $auth $G/unattended >/workspace/unattended.tmp
     mv /workspace/unattended.tmp /workspace/unattended" >/dev/null
check "76 an unattended job is answered at once" \
    wait_for 10 test -e "$T/ws/unattended"
check "76 with a reason" grep -q "the job is unattended" "$T/ws/unattended"
check "76 nothing of it was sent" not_reached good.test /unattended
check "76 the denial is on record" audited HT401 /unattended
asking attended
check "76 an attended job still asks" ask_is_open
brig approve "$(ask_id)" >/dev/null
wait "$asker"
check "76 and gets its answer" reached good.test /attended
attack_end
