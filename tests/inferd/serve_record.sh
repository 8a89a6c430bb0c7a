#!/bin/sh
# What inferd as a server does for its administrator: a record of what is said
# that can be checked and computed again, and that nothing is said without;
# classes of steering; beginnings of prompts that agents share.  Prints TAP.
. "${BRIG_SRCDIR:-.}/tests/lib.sh"
# The disk that gets full is mounted where nobody else sees it.
if [ -z "${BRIG_RECORD_NS-}" ] && [ "$(id -u)" = 0 ]; then
    BRIG_RECORD_NS=1
    export BRIG_RECORD_NS
    exec unshare -m --propagation private "$0" "$@"
fi
setup serve_record
# shellcheck source-path=SCRIPTDIR/../..
. "$BRIG_SRCDIR/tests/inferd/ask.sh"
trap 'rc=$?; umount -l "$T/disk" 2>/dev/null; (exit $rc); cleanup' EXIT
third=$((someone + 1))

"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --layers 2 --vocab 300 \
    "$T/tiny.gguf" || exit 1
python3 "$BRIG_SRCDIR/tests/inferd/clients.py" vector "$T/terse.gguf" 256
# Each is more than a page of the cache.
shared=$(seq -s ' public ' 1 12)
private=$(seq -s ' private ' 30 42)
printf %s "$shared" >"$T/shared.txt"

serve "$T/log" --record "$T/record" --record-text \
    --steer "terse=$T/terse.gguf:2" --agent-steer "uid:$someone=terse" \
    --public-prefix "$T/shared.txt"

# text UID PROMPT: what is said to it, always the same.
text() {
    other "$1" http://x/v1/completions \
        -d "{\"prompt\":\"$2\",\"max_tokens\":16,\"temperature\":0}" |
        grep -o '"text":.*"logprobs"'
}
# cached UID PROMPT: how many tokens of it were known.
cached() {
    other "$1" http://x/v1/completions \
        -d "{\"prompt\":\"$2\",\"max_tokens\":1}" |
        sed 's/.*"cached_tokens":\([0-9]*\).*/\1/'
}

steered() {
    plain=$(text 0 "Once upon") && class=$(text "$someone" "Once upon") &&
        echo "$plain / $class" && [ -n "$plain" ] && [ "$plain" != "$class" ]
}
check "an agent with a class of steering gets another answer" steered
not_steered() {
    [ "$(text "$third" "Once upon")" = "$(text 0 "Once upon")" ]
}
check "another agent gets the usual one" not_steered
known() {
    n=$(cached "$@") && echo "$n tokens were known" && [ "$n" -ge 64 ]
}
unknown() {
    n=$(cached "$@") && echo "$n tokens were known" && [ "$n" = 0 ]
}
check "what was asked by nobody is not known" unknown 0 "$shared a"
check "a public beginning is known to another agent then" \
    known "$third" "$shared b"
check "what is steered is not shared" unknown "$someone" "$shared c"
check "no other beginning" unknown 0 "$private a"
check "is known to another agent" unknown "$third" "$private b"
check "but to the one who asked" known 0 "$private c"

lines() {
    [ "$(wc -l <"$1")" = "$2" ]
}
hashed() {
    ask /v1/chat/completions -d '{"messages":[
        {"role":"system","content":"Be brief."},
        {"role":"user","content":"hi"}],"max_tokens":4}' >"$T/said"
    want=$(printf 'Be brief.' | sha256sum | cut -d ' ' -f 1)
    tail -n 1 "$T/record"
    tail -n 1 "$T/record" | grep -qF '"origin":"system","n":9,"sha256":"'"$want"
}
check "the record has hashes of the pieces of a prompt" hashed
check "and a line for each completion" lines "$T/record" 11
check "readable by its owner alone" \
    sh -c "stat -c '%a' '$T/record' | grep -x 600"
says_class() {
    grep -c "\"agent\":\"uid:$someone\",.*\"steer\":\"terse\"" "$T/record" |
        grep -x 2 && ! grep -v "uid:$someone" "$T/record" | grep terse
}
check "it says who was steered, and how" says_class
check "it ends" ends "$server"

again() {
    "$inferd" -m "$T/tiny.gguf" --replay "$@"
}
same() {
    again "$T/record" --steer "terse=$T/terse.gguf:2" >"$T/again"
    rc=$?
    cat "$T/again"
    [ "$rc" = 0 ] && [ "$(grep -c ': the same, ' "$T/again")" = 11 ]
}
check "each completion is computed again to the same tokens" same
check "not without the vectors that steered it" \
    refuses 'line 2: cannot be computed here: its class of steering' \
    again "$T/record"
check "and not with others" refuses 'line 2: NOT the same from token' \
    again "$T/record" --steer "terse=$T/terse.gguf:-9"
one=$(sed -n '3s/.*"id":"\([a-z0-9]*\)".*/\1/p' "$T/record")
only_one() {
    again "$T/record" "$1" >"$T/again" && cat "$T/again" &&
        [ "$(grep -c . "$T/again")" = 1 ] && grep -q '^line 3: the same' "$T/again"
}
check "one of them alone" only_one "$one"
sed '5s/uid:0/uid:1/;5s/uid:1879/uid:1878/' "$T/record" >"$T/edited"
sed 4d "$T/record" >"$T/removed"
chmod 600 "$T/edited" "$T/removed"
check "an edited line is found" refuses 'line 5: NOT as it was written' \
    again "$T/edited"
check "and one that was taken out" refuses 'line 4: NOT as it was written' \
    again "$T/removed"
check "with which inferd does not serve" \
    refuses 'line 5 is not what was written there' \
    "$inferd" -m "$T/tiny.gguf" --socket "$sock" --record "$T/edited"
check "a class that nobody has said is refused" \
    refuses 'does not name a class of --steer' \
    "$inferd" -m "$T/tiny.gguf" --socket "$sock" --agent-steer uid:1=x

# A disk with room for a page of lines, and another that is taken away.
mkdir "$T/disk"
mount -t tmpfs -o size=8k,mode=700 tmpfs "$T/disk" || {
    skip "nothing is said that is not recorded" "no file system can be mounted"
    finish
}
fill() {
    head -c 4096 /dev/zero >"$T/disk/filler"
}
fill
record=$T/disk/record
serve "$T/log.2" --record "$record" --record-text
hi='"messages":[{"role":"user","content":"hi"}],"max_tokens":3'
# What it stops at is recorded, and more than the page takes.
much="$hi,\"stop\":[\"$(seq -s ' ' 1 800)\"]"
check "while there is room it answers" says 200 finish_reason \
    /v1/chat/completions -d "{$hi}"
# A stream that has something to tell, and no end before its time.
many='"stream":true,"response_format":{"type":"json_schema","schema":{
    "type":"array","items":{"type":"integer"},"minItems":1500}}'
curl -sS -N --unix-socket "$sock" http://x/v1/chat/completions -d \
    "{\"messages\":[{\"role\":\"user\",\"content\":\"go on\"}],$many}" \
    >"$T/cut" 2>&1 &
client=$!
wait_for 60 grep -q '"content":"[^"]' "$T/cut"
check "an answer whose record finds no room is none" says 503 \
    '"message":"the record of completions cannot be written' \
    /v1/chat/completions -d "{$much}"
cut_off() {
    wait "$client"
    tail -n 3 "$T/cut"
    tail -n 3 "$T/cut" | grep -q '^data: {"error":{"message":"the record' &&
        ! grep -q -e '\[DONE\]' -e '"finish_reason":"' "$T/cut"
}
check "one that is being told ends with an error" cut_off
check "it is not well" says 503 '"status":"error"' /health
failed() {
    count_of record_failed | grep -x 1
}
check "its figures say so" failed
rm "$T/disk/filler"
before=$(stat -c %s "$record")
no_record='the record of completions cannot be written'
check "nothing is asked of it any more, even with room" says 503 \
    "\"error\":{\"message\":\"$no_record" /v1/chat/completions -d "{$hi}"
check "in each protocol's words" says 503 \
    "\"type\":\"overloaded_error\",\"message\":\"$no_record" \
    /v1/messages -d "{$hi,\"stream\":true}"
check "but tokens are counted" says 200 '^{"input_tokens":' \
    /v1/messages/count_tokens -d "{$hi}"
nothing_more() {
    [ "$(stat -c %s "$record")" = "$before" ] && [ "$before" = 4096 ]
}
check "nothing is written behind what failed" nothing_more
check "it ends still" ends "$server"
check "it says what is to be done" refuses \
    'line 2 was not written whole.*truncate -s ' \
    "$inferd" -m "$T/tiny.gguf" --socket "$sock" --record "$record"
cp "$T/refused" "$T/torn"
check "and so does a look at the record" refuses 'line 2: NOT written whole' \
    again "$record"
truncate -s "$(sed -n 's/.*truncate -s //p' "$T/torn")" "$record"
serve "$T/log.3" --record "$record" --record-text
check "with that done it serves again" says 200 '"stop_reason":"' \
    /v1/messages -d "{$hi}"
fill
events() {
    ask "$@" >"$T/said"
    cat "$T/said"
    grep -q '^event: error' "$T/said" && ! grep -q message_stop "$T/said"
}
check "a stream of another protocol ends with its own error" events \
    /v1/messages -d "{\"stop_sequences\":${much#*stop\":},$many,$hi}"
finish
