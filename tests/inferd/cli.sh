#!/bin/sh
# The command line of inferd: help, manual and completion know every option,
# what is not understood is said in a line, and JSON is JSON.  Prints TAP.
. "${BRIG_SRCDIR:-.}/tests/lib.sh"
setup inferd_cli
inferd=$BRIG_BUILDDIR/inferd/inferd
# Three megabytes are a lot to look at for nothing.
"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --layers 2 --vocab 300 --type Q8_0 \
    "$T/m.gguf" || exit 1
seq 1 400 >"$T/text"

sed -n 's/^\t{ "\([a-z-]*\)", .*_argument.*/\1/p' \
    "$BRIG_SRCDIR/inferd/options.c" >"$T/options"
"$inferd" --help >"$T/help"
# Of these the help has the short form.
short() {
    sed -e 's/^model$/m/' -e 's/^threads$/t/'
}
helped() {
    [ "$(wc -l <"$T/options")" -gt 30 ] && while read -r o; do
        case $o in
        model | threads) grep -q -e "-$(echo "$o" | short) " "$T/help" ;;
        *) grep -q -e "--$o\([^a-z-]\|$\)" "$T/help" ;;
        esac || {
            echo "--$o is not in the help"
            return 1
        }
    done <"$T/options"
}
check "the help has every option" helped
written() {
    while read -r o; do
        grep -q "^\.It.*Fl \\\\-$o\b" "$BRIG_SRCDIR/man/inferd.8" || {
            echo "--$o is not in the manual"
            return 1
        }
    done <"$T/options"
}
check "and the manual" written

# completes LINE WANT: the last word of LINE can become WANT.
completes() {
    bash -c '. "$BRIG_SRCDIR/contrib/completions/inferd.bash"
        COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        COMP_WORDS[0]=$2
        _inferd "$2"
        printf "%s\n" "${COMPREPLY[@]}"' sh "$1" "$inferd" >"$T/words"
    cat "$T/words"
    grep -qxF -e "$2" "$T/words"
}
check "an option is completed" completes "inferd --agent-w" --agent-window
check "so is what it takes" completes "inferd --template qwen3-" qwen3-coder

refused() {
    want=$1
    shift
    "$inferd" "$@" >"$T/said" 2>&1
    rc=$?
    cat "$T/said"
    [ "$rc" = 1 ] && [ "$(wc -l <"$T/said")" = 1 ] && grep -q "$want" "$T/said"
}
check "no model" refused '^inferd: no model' --socket "$T/s"
check "nothing to do" refused '^inferd: nothing to do' -m "$T/m.gguf"
check "two things to do" refused 'one thing at a time' -m "$T/m.gguf" --chat \
    --tokenize
check "a word that is no option" refused 'm.gguf: what is this' --chat \
    "$T/m.gguf"
check "an option that is none" refused "unrecognized option '--sockte'" \
    --sockte x
check "an option without what it takes" refused "requires an argument" -m
check "numbers of passes that are none" refused "^inferd: --bench=" \
    -m "$T/m.gguf" --bench=1,2
check "a text that is too short for a window" refused "needs more text" \
    -m "$T/m.gguf" --perplexity "$T/text" --context 4096
check "a model that is not there" refused "No such file" --check "$T/none"

# What would do nothing where somebody relies on it.
check "a chat is not recorded" refused 'inferd: --record is for serving' \
    -m "$T/m.gguf" --chat --record "$T/record"
check "nor has it limits" refused 'inferd: --agent-tokens is for serving' \
    -m "$T/m.gguf" --agent-tokens 5 --chat
check "text of a record that there is not" refused 'there is no --record$' \
    -m "$T/m.gguf" --socket "$T/s" --record-text
check "bytes of a cache that there is not" refused 'there is no --cache-dir' \
    -m "$T/m.gguf" --socket "$T/s" --cache-size 1G
check "a window of no budget" refused 'neither --agent-tokens nor' \
    -m "$T/m.gguf" --socket "$T/s" --agent-window 60
check "more alike calls than are looked at" refused 'from 0 to 32, not 33' \
    -m "$T/m.gguf" --socket "$T/s" --loop-max 33
check "a vocabulary does not speak" refused 'says nothing' \
    -m "$T/m.gguf" --socket "$T/s" --vocab-only

# json COMMAND...: each line that it says is one value of JSON.
json() {
    "$inferd" "$@" <"$T/text" >"$T/json" && cat "$T/json" && [ -s "$T/json" ] &&
        python3 -c 'import json, sys
for line in sys.stdin:
    json.loads(line, parse_constant=lambda s: sys.exit(s))' <"$T/json"
}
check "a look at a model" json --check "$T/m.gguf" --json
check "tokens" json -m "$T/m.gguf" --tokenize --json
check "speed" json -m "$T/m.gguf" --bench=4,2,1 --json
check "perplexity" json -m "$T/m.gguf" --perplexity - --context 64 --json

# And with layers of different kinds, some of them left out.
"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --arch glm4moe --nextn 1 --biases \
    --vocab 300 --type Q8_0 "$T/glm.gguf" || exit 1
check "of a glm4moe: speed" json -m "$T/glm.gguf" --bench=4,2,1 --json
check "perplexity" json -m "$T/glm.gguf" --perplexity - --context 64 --json
# What is said is drawn, and may be over soon: one of some has more to say.
chats() {
    for chats_try in 1 2 3 4 5 6 7 8 9 10 11 12; do
        echo "hello $chats_try" | timeout 60 "$inferd" -m "$T/glm.gguf" \
            --chat --context 128 >"$T/said" || return 1
        [ "$(wc -c <"$T/said")" -le 20 ] || return 0
    done
    return 1
}
check "and a chat" chats

# And with heads of low rank.
"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --arch deepseek2 --gate sigmoid \
    --vocab 300 --type Q8_0 "$T/mla.gguf" || exit 1
check "of a deepseek2: speed" json -m "$T/mla.gguf" --bench=4,2,1 --json
check "perplexity" json -m "$T/mla.gguf" --perplexity - --context 64 --json

# And with layers that keep a state.
"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --arch qwen35moe --nextn 1 \
    --vocab 300 --type Q8_0 "$T/glm.gguf" || exit 1
check "of a qwen35moe: speed" json -m "$T/glm.gguf" --bench=4,2,1 --json
check "perplexity" json -m "$T/glm.gguf" --perplexity - --context 64 --json
check "and a chat" chats

# And with several residual streams.
"$BRIG_BUILDDIR/inferd/inferd-mkmodel" --arch deepseek4 --nextn 1 \
    --vocab 300 --type Q8_0 "$T/streams.gguf" || exit 1
check "of a deepseek4: speed" json -m "$T/streams.gguf" --bench=4,2,1 --json
check "perplexity" json -m "$T/streams.gguf" --perplexity - --context 64 --json

# A model whose weights are no numbers says so.
python3 - "$T/m.gguf" "$T/nan.gguf" <<'EOT'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
# The scales of the last tensor's blocks, which are 34 bytes each.
for i in range(1, 2000):
    b[-34 * i : -34 * i + 2] = b"\xff\x7f"
open(sys.argv[2], "wb").write(b)
EOT
check "a model that computes no numbers" refused "finds no number" \
    -m "$T/nan.gguf" --perplexity "$T/text" --context 64 --json
finish
