# Fuzz harnesses.  With --enable-fuzzers (clang) they are libFuzzer programs;
# else tests/fuzz/feed.c gives them a main() that feeds the corpus, each file
# twice, so that `make check` runs it everywhere.  To add one, list it in
# FUZZ_NAMES' programs below and in FUZZERS.
FUZZERS =
EXTRA_DIST += tests/fuzz/corpus
