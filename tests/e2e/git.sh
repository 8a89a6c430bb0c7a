#!/bin/sh
# git and git-lfs over https: with a credential that is put in unasked nothing
# has to be set up in the job; without, the server's 401 reaches git, and a
# helper that says the stub will do.
# shellcheck source=../attack/lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"

# git_origin HOST: a git server; its port in $PORT, what it saw in HOST.err.
git_origin() {
    mkdir -p "$T/$1"
    git init -q --bare "$T/$1/p.git"
    git -C "$T/$1/p.git" config http.receivepack true
    make_cert "$1"
    background python3 "$BRIG_SRCDIR/tests/e2e/git_origin.py" \
        "$T/$1.pem" "$T/$1.key" "$T/$1" "bob:$CANARY" \
        >"$T/$1.out" 2>"$T/$1.err"
    wait_for 10 grep -q listening "$T/$1.out"
    PORT=$(awk '/listening/ { print $2 }' "$T/$1.out")
}

attack_setup git
git_origin unasked.test
UNASKED=$PORT
git_origin asked.test
ASKED=$PORT
git_origin none.test
NONE=$PORT
stop_brigd
for h in unasked asked none; do
    echo "resolve $h.test 127.0.0.1" >>"$T/brigd.conf"
done
attack_policy "allow http {GET,POST,PUT} https://unasked.test:$UNASKED/**;" \
    "allow http {GET,POST,PUT} https://asked.test:$ASKED/**;" \
    "allow http {GET,POST,PUT} https://none.test:$NONE/**;" \
    "allow net 127.0.0.1:$UNASKED;" "allow net 127.0.0.1:$ASKED;" \
    "allow net 127.0.0.1:$NONE;"
start_brigd
printf %s "$CANARY" | brig secret add unasked --host "unasked.test:$UNASKED" \
    --surface basic:bob --inject >/dev/null
printf %s "$CANARY" | brig secret add asked --host "asked.test:$ASKED" \
    --surface basic --env GIT_TOKEN >/dev/null
GIT='export GIT_TERMINAL_PROMPT=0 GIT_LFS_SKIP_SMUDGE=0 && cd /workspace &&
git config --global user.email a@example.com &&
git config --global user.name a'

# From outside the server refuses whoever has no password.
wants_password() {
    direct_curl unasked.test "$UNASKED" -o /dev/null -w '%{http_code}' \
        "https://unasked.test:$UNASKED/p.git/info/refs?service=git-upload-pack"
    grep -q 401 "$T/outside.out"
}
# Only that one request came without the right one.
one_without_password() {
    test "$(grep -c 'auth none' "$T/unasked.test.err")" = 1 &&
        ! grep 'auth wrong' "$T/unasked.test.err"
}
check "control: the server wants a password" wants_password

check "unasked: clone, commit, push, fetch without any set-up" job "$GIT &&
    git clone -q https://unasked.test:$UNASKED/p.git p && cd p &&
    echo hello >f && git add . && git commit -qm first &&
    git push -q origin HEAD:main && git fetch -q origin main &&
    git ls-remote https://unasked.test:$UNASKED/p.git | grep -q refs/heads/main"
check "unasked: the push is in the repository" sh -c \
    'git -C "$T/unasked.test/p.git" log --oneline main | grep -q first'
check "unasked: the very first request has the password" one_without_password
check "unasked: no password and no stub is in the clone or the job" sh -c '
    ! grep -rqF -e "$1" "$T/ws/p/.git" "$T/job.out"' - "$CANARY"
check "unasked: another server of the job gets nothing" sh -c '
    timeout 60 brig run -w "$T/ws" -- sh -c "GIT_TERMINAL_PROMPT=0 \
        git ls-remote https://none.test:$1/p.git" >"$T/job.out" 2>&1
    grep -q "could not read Username" "$T/job.out" &&
    grep -q "auth none" "$T/none.test.err" &&
    ! grep -qE "auth (ok|wrong)" "$T/none.test.err"' - "$NONE"

check "asked: the 401 reaches git, which has nobody to ask" sh -c '
    timeout 60 brig run -w "$T/ws" -- sh -c "GIT_TERMINAL_PROMPT=0 \
        git ls-remote https://asked.test:$1/p.git" >"$T/job.out" 2>&1
    grep -q "could not read Username" "$T/job.out"' - "$ASKED"
check "asked: clone and push with a helper that says the stub" job "$GIT &&
    git config --global credential.helper \
        '!f() { echo username=bob; echo password=\$GIT_TOKEN; }; f' &&
    git clone -q https://asked.test:$ASKED/p.git q && cd q &&
    echo hello >f && git add . && git commit -qm second &&
    git push -q origin HEAD:main"
check "asked: the push is in the repository" sh -c '
    git -C "$T/asked.test/p.git" log --oneline main | grep -q second &&
    ! grep -q "auth wrong" "$T/asked.test.err"'

if command -v git-lfs >/dev/null 2>&1; then
    check "unasked: large files are pushed and fetched" job "$GIT &&
        rm -rf p r && git lfs install --skip-repo >/dev/null &&
        git clone -q https://unasked.test:$UNASKED/p.git -b main p && cd p &&
        git config lfs.https://unasked.test:$UNASKED/p.git/info/lfs.locksverify \
            false && git lfs track '*.bin' >/dev/null &&
        head -c 3000000 /dev/urandom >a.bin && git add . &&
        git commit -qm large && git push -q origin HEAD:main && cd .. &&
        git clone -q https://unasked.test:$UNASKED/p.git -b main r &&
        cmp p/a.bin r/a.bin && test \$(wc -c <r/a.bin) = 3000000"
    check "unasked: the store has them" \
        grep -q "lfs stored" "$T/unasked.test.err"
    check "unasked: it saw the right password only" one_without_password
else
    skip "unasked: large files are pushed and fetched" "git-lfs is missing"
    skip "unasked: the store has them" "git-lfs is missing"
    skip "unasked: it saw the right password only" "git-lfs is missing"
fi
attack_end
