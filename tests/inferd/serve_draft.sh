#!/bin/sh
# inferd with a draft model: it answers as it does without, a record is computed
# again without, and another vocabulary is refused.  Prints TAP.
. "${BRIG_SRCDIR:-.}/tests/lib.sh"
setup serve_draft
. "$BRIG_SRCDIR/tests/inferd/ask.sh"
mkmodel=$BRIG_BUILDDIR/inferd/inferd-mkmodel
model=$T/tiny.gguf

{
    "$mkmodel" --layers 2 --vocab 300 "$model" &&
        "$mkmodel" --arch qwen3 --layers 1 --vocab 300 --seed 2 \
            "$T/small.gguf" &&
        "$mkmodel" --arch qwen3 --layers 1 --vocab 301 "$T/other.gguf"
} || exit 1

# says_it FILE: what the server says now, whose file of text that is.
says_it() {
    ask /v1/completions -d '{"prompt":"once upon a time","seed":7,
        "max_tokens":300,"temperature":0.5}' | grep -o '"text":"[^"]*"' >"$1"
}
without() {
    serve "$T/log" && says_it "$T/without" && ends "$server"
}
check "it answers without one" without
with() {
    serve "$T/log.two" --draft-model "$T/small.gguf" --seal \
        --record "$T/record" --record-text && says_it "$T/with" &&
        cmp "$T/without" "$T/with" &&
        ask /metrics | grep '^inferd_model_drafted_tokens_total.* [0-9]'
}
check "and the same with one, sealed and confined" with
check "how much memory that has is said" grep "draft model: memory for" \
    "$T/log.two"
check "it ends when told to" ends "$server"
check "nor is it needed to say the same again" \
    "$inferd" -m "$model" --seal --replay "$T/record"
check "it is looked at with the model" sh -c \
    "'$inferd' --check '$model' --draft-model '$T/small.gguf' |
    grep '^draft  *qwen3'"
check "and measured" sh -c "'$inferd' -m '$model' --draft-model \
    '$T/small.gguf' --bench=4,4,1 --json | grep '\"model_accepted\":[0-9]'"
check "another vocabulary is refused" \
    refuses "the draft model: its vocabulary has 301 tokens, the model's 300" \
    "$inferd" -m "$model" --draft-model "$T/other.gguf" --socket "$sock"
check "and a file that is none" refuses "none.gguf" \
    "$inferd" -m "$model" --draft-model "$T/none.gguf" --socket "$sock"
check "and no guesses from one that guesses" refuses "no-drafts against" \
    "$inferd" -m "$model" --draft-model "$T/small.gguf" --no-drafts \
    --socket "$sock"
finish
