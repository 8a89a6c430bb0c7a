#!/bin/sh
# Attacks that leave something in the workspace for the host to run later, and
# that change what a judged pointer points to.
# shellcheck disable=SC2016,SC2086,SC2317
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-hooks
cat >>"$T/policy/default.policy" <<'EOF'
profile open {
    default exec allow;  default read allow;  default write allow;
    sandbox protect no;
}
profile careful {
    default exec allow;  default read allow;  default write allow;
    deny exec workspace/evil-51;
    deny write workspace/Makefile;
    deny write workspace/venv/bin/**;
}
EOF
brig policy reload >/dev/null

# job_in PROFILE FOLDER SCRIPT
job_in() {
    timeout "$(bound 120)" brig run -p "$1" -w "$2" -- sh -c "$3" >"$T/job.out" 2>&1 \
        </dev/null || :
}

# 51: the pointer of an execve is judged, then the bytes behind it change.
cat >"$T/ws/flip.py" <<'EOF'
import ctypes, mmap, os, signal
libc = ctypes.CDLL(None, use_errno=True)
page = mmap.mmap(-1, 4096)              # shared with the process that flips
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
names = (b'/workspace/good-51\0', b'/workspace/evil-51\0')
flipper = os.fork()
if flipper == 0:
    while True:
        for name in names:
            ctypes.memmove(at, name, len(name))
argv = (ctypes.c_void_p * 2)(at, None)
for n in range(400):
    pid = os.fork()
    if pid == 0:
        libc.execve(ctypes.c_void_p(at), argv, None)
        os._exit(1)
    os.waitpid(pid, 0)
os.kill(flipper, signal.SIGKILL)
os.waitpid(flipper, 0)
for bad in (8, 4096, at + (1 << 32), (1 << 64) - 4096):
    pid = os.fork()
    if pid == 0:                        # a pointer to nothing
        libc.execve(ctypes.c_void_p(bad), argv, None)
        print('refused-51', flush=True)
        os._exit(1)
    os.waitpid(pid, 0)
EOF
for w in good evil; do
    printf '#!/bin/sh\necho %s-51\n' $w >"$T/ws/$w-51"
    chmod 755 "$T/ws/$w-51"
done
job_in default "$T/ws" 'python3 /workspace/flip.py'
check "51 control: without a rule both programs run" sh -c '
    grep -qx good-51 "$0" && grep -qx evil-51 "$0"' "$T/job.out"
job_in careful "$T/ws" 'python3 /workspace/flip.py'
check "51 the program that is allowed runs" sh -c 'grep -qx good-51 "$0"' \
    "$T/job.out"
check "51 the other never does" sh -c '! grep -x evil-51 "$0"' "$T/job.out"
check "51 a pointer to nothing runs nothing" sh -c '
    test "$(grep -cx refused-51 "$0")" = 4' "$T/job.out"

# 55: what the git of the host would run.
REPO=$T/repo
repository() {
    rm -rf "$REPO"
    git -c init.defaultBranch=main init -q "$REPO"
    echo text >"$REPO/file"
    git -C "$REPO" add file
    git -C "$REPO" -c user.name=a -c user.email=a@b.test commit -q -m first
}
# Everything a host may do in a folder that a job has worked in.
host_git() {
    rm -f "$T"/ran-*
    (
        cd "$REPO" || exit
        echo more >>file
        git status
        git diff
        git add file
        git -c user.name=a -c user.email=a@b.test commit -m second
        git checkout -q -b side
        GIT_TERMINAL_PROMPT=0 timeout 10 git fetch ssh://git@localhost:1/x
        git status
    ) >"$T/outside.out" 2>&1 </dev/null
    :
}
plant='ran() { printf "#!/bin/sh\ntouch '"$T"'/ran-$1\n"; }
hook() { mkdir -p "$1"; for h in pre-commit post-commit post-checkout \
    post-index-change reference-transaction; do
    ran "$2" >"$1/$h"; chmod 755 "$1/$h"; done; }
cd /workspace
hook .git/hooks hooks
hook own path
ran fsmonitor >monitor; chmod 755 monitor
git config core.hooksPath '"$REPO"'/own
git config core.fsmonitor '"$REPO"'/monitor
git config filter.f.clean "touch '"$T"'/ran-filter; cat"
git config diff.external "touch '"$T"'/ran-diff"
git config core.sshCommand "touch '"$T"'/ran-ssh"
echo "file filter=f diff=d" >.gitattributes
printf "[core]\n\tfsmonitor = '"$REPO"'/monitor\n" >>.git/config
'
# Past the file itself: by another name, in its place, by what git reads first.
elsewhere='
printf "[core]\n\tsshCommand = touch '"$T"'/ran-ssh2\n" >c && mv c .git/config
ln .git/config c2 && printf "[diff]\n\texternal = touch '"$T"'/ran-d\n" >>c2
ln -sf ../c .git/config; ln -sfn ../own .git/hooks
mv .git .old && cp -r .old .git && hook .git/hooks moved
cp -r .git other && hook other/hooks commondir
echo ../other >.git/commondir; echo "gitdir: other" >g && mv g .git
rm -rf .git/hooks .git/config && hook .git/hooks again
git config --file .git/config.worktree core.fsmonitor '"$REPO"'/monitor
git config extensions.worktreeConfig true
'
repository
job_in open "$REPO" "$plant echo planted-55"
host_git
for w in hooks path fsmonitor filter diff ssh; do
    test -e "$T/ran-$w" && touch "$T/control-55"
done
check "55 control: without protection the git of the host runs them" \
    test -e "$T/control-55"
repository
cp -r "$REPO/.git" "$T/git-before"
job_in default "$REPO" "$plant $elsewhere echo planted-55"
check "55 the attack ran to its end" job_says planted-55
check "55 the hooks and the configuration are as they were" sh -c '
    diff -r "$0/hooks" "$1/.git/hooks" && cmp "$0/config" "$1/.git/config" &&
    ! test -e "$1/.git/commondir"' "$T/git-before" "$REPO"
host_git
check "55 the git of the host still works there" grep -q 'On branch' \
    "$T/outside.out"
check "55 and runs nothing of the job" sh -c '! ls "$0"/ran-*' "$T"

# 55: no repository at the start, and one at the end.
bare() {
    rm -rf "$REPO"
    mkdir "$REPO"
    echo text >"$REPO/file"
}
init='cd /workspace; git -c init.defaultBranch=main init -q .
mkdir -p .git/hooks
printf "#!/bin/sh\ntouch '"$T"'/ran-init\n" >.git/hooks/post-index-change
chmod 755 .git/hooks/post-index-change; git add file
git config core.fsmonitor "touch '"$T"'/ran-init"; echo planted-55'
bare
job_in open "$REPO" "$init"
host_git
check "55 control: a repository of the job's making runs its hooks" \
    test -e "$T/ran-init"
bare
job_in default "$REPO" "$init"
check "55 the job tried" job_says planted-55
host_git
check "55 it cannot make one with hooks where none was" \
    sh -c '! ls "$0"/ran-*' "$T"

# 55: a worktree, whose .git is a file that says where the repository is.
worktree() {
    repository
    rm -rf "$T/tree"
    git -C "$REPO" worktree add -q -b tree "$T/tree"
}
exchange='cd /workspace; git init -q new; cd new
printf "#!/bin/sh\ntouch '"$T"'/ran-worktree\n" >.git/hooks/post-index-change
chmod 755 .git/hooks/post-index-change; cd ..
echo "gitdir: new/.git" >.git; rm -f .git; mv .git old; cp -r new/.git .git
ln -sfn new/.git .git; echo planted-55'
host_worktree() {
    (cd "$T/tree" && echo more >>file && git add file; git status) \
        >"$T/outside.out" 2>&1
    :
}
rm -f "$T"/ran-*
worktree
job_in open "$T/tree" "$exchange"
host_worktree
check "55 control: a worktree's .git can be exchanged without protection" \
    test -e "$T/ran-worktree"
rm -f "$T"/ran-*
worktree
job_in default "$T/tree" "$exchange"
check "55 the job tried that" job_says planted-55
host_worktree
check "55 a worktree's .git stays" sh -c '! ls "$0"/ran-*' "$T"
check "55 and is a worktree" grep -q 'On branch tree' "$T/outside.out"

# 55: what git reads besides: the configuration of this worktree, and where a
# worktree that lies elsewhere has its repository.
beside='cd /workspace; cp -r .git other
git config --file other/config core.fsmonitor "touch '"$T"'/ran-far"
printf "[core]\n\tfsmonitor = touch '"$T"'/ran-near\n" >c
cp c .git/config.worktree; mv c .git/config.worktree
echo /workspace/other >.git/worktrees/tree/commondir
mv .git/worktrees/tree .git/worktrees/was &&
    cp -r .git/worktrees/was .git/worktrees/tree
mv .git/worktrees .git/was && cp -r .git/was .git/worktrees
echo '"$REPO"'/other >.git/worktrees/tree/commondir; echo planted-55'
split() {
    worktree
    git -C "$REPO" config extensions.worktreeConfig true
    rm -f "$T"/ran-*
}
split
job_in open "$REPO" "$beside"
host_git
host_worktree
check "55 control: git reads the configuration of a worktree" \
    test -e "$T/ran-near"
check "55 control: and where it has its repository" test -e "$T/ran-far"
split
job_in default "$REPO" "$beside"
check "55 the job tried those" job_says planted-55
host_git
check "55 git works as before" grep -q 'On branch' "$T/outside.out"
host_worktree
check "55 so it does in the worktree" grep -q 'On branch tree' "$T/outside.out"
check "55 neither runs anything" sh -c '! ls "$0"/ran-*' "$T"

# 56, 57: files that tools of the host obey, there already or not yet.
names=".claude/settings.json .codex/config.toml .mcp.json .envrc \
    .vscode/tasks.json .gemini/settings.json .cursor/mcp.json \
    .husky/pre-commit .devcontainer/devcontainer.json .idea/workspace.xml"
write='cd /workspace
for f in '"$names"'; do
    d=${f%%/*}; [ $d = $f ] && up=. || up=$d
    mkdir -p $up; echo evil-56 >$f
    echo evil-56 >new && mv new $f
    mkdir -p new/$up; echo evil-56 >new/$f; mv $d was$d && mv new/$d $d
    rm -rf $d && mkdir -p $up && echo evil-56 >$f
    rm -rf new; mkdir -p new/$up; echo evil-56 >new/$f
    python3 -c "
import ctypes, sys
libc = ctypes.CDLL(None)
for flags in (2, 1, 0):                 # exchange, no replace, replace
    libc.renameat2(-100, sys.argv[1].encode(), -100, sys.argv[2].encode(), flags)
" new/$d $d
    ln -sfn new/$d $d; rm -rf new
done
echo planted-56'
# Is one of the names there with a text of the job?
holds() {
    (cd "$REPO" && for f in $names; do cat "$f"; done) 2>/dev/null |
        grep -q evil-56
}
holds_not() {
    ! holds
}
bare
job_in open "$REPO" "$write"
check "57 control: without protection they are made" holds
bare
job_in default "$REPO" "$write"
check "57 the job tried" job_says planted-56
check "57 no name that was missing is there with a text of the job" holds_not
check "57 nor is anything that held its place" sh -c '
    cd "$0" && shift && for f; do ! test -e "${f%%/*}" || exit 1; done' \
    "$REPO" - $names
bare
for f in $names; do
    mkdir -p "$(dirname "$REPO/$f")"
    echo "mine $f" >"$REPO/$f"
done
job_in default "$REPO" "$write"
check "56 none of those that were there is changed" sh -c '
    cd "$0" && shift && for f; do test "$(cat "$f")" = "mine $f" || exit 1; done' \
    "$REPO" - $names

# 56: what no list can know is a line of the policy.
mkdir -p "$REPO/venv/bin"
echo 'all: ; @echo mine' >"$REPO/Makefile"
cp /bin/true "$REPO/venv/bin/python"
cp "$REPO/venv/bin/python" "$T/python-before"
replace='cd /workspace; for f in Makefile venv/bin/python; do
    echo evil-56 >$f; mv $f $f.old; echo evil-56 >n; mv n $f; done
mv venv v; mkdir -p venv/bin; echo evil-56 >venv/bin/python'
job_in careful "$REPO" "$replace"
check "56 a denied Makefile and interpreter stay" sh -c '
    grep -q mine "$0/Makefile" && cmp "$1" "$0/venv/bin/python"' \
    "$REPO" "$T/python-before"
job_in default "$REPO" "$replace"
check "56 control: without the lines they do not" sh -c '
    grep -q evil-56 "$0/venv/bin/python" && grep -q evil-56 "$0/Makefile"' \
    "$REPO"
attack_end
