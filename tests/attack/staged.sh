#!/bin/sh
# Attacks on whoever looks at what a job staged and lands it: the stage process
# reads what a job wrote, and the host acts on what comes of it.
# shellcheck disable=SC2016,SC2317
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-staged
cat >>"$T/policy/default.policy" <<'EOF'
profile staged {
    default exec allow;  default read allow;  default write allow;
    sandbox workspace staged;
}
profile unprotected extends staged { sandbox protect no; }
EOF
brig policy reload >/dev/null
REPO=$T/repo
umask 022

# stage PROFILE SCRIPT: a staged job in $REPO; sets $JOB and $UP.
stage() {
    JOB=$(brig submit -p "$1" -w "$REPO" -- sh -c "$2" 2>&1 </dev/null)
    timeout "$(bound 60)" brig wait "$JOB" >/dev/null 2>&1
    brig logs "$JOB" >"$T/job.out" 2>&1
    UP=$T/state/jobs/${JOB#j-}/staged/tree/upper
}
# b COMMAND...: its output in $T/out; never waits for long.
b() {
    timeout "$(bound 60)" brig "$@" >"$T/out" 2>&1 </dev/null
}
says() {
    grep -qF -e "$1" "$T/out" || {
        cat "$T/out"
        return 1
    }
}
says_not() {
    ! grep -F -e "$1" "$T/out"
}
# What somebody without brig would do: copy the upper layer over the workspace.
careless() {
    rm -rf "$T/careless"
    cp -a "$REPO" "$T/careless"
    [ ! -f "$UP/.git" ] || rm -rf "$T/careless/.git"
    cp -a "$UP/." "$T/careless/" 2>/dev/null
    :
}
repository() {
    rm -rf "$REPO"
    git -c init.defaultBranch=main init -q "$REPO"
    echo text >"$REPO/file"
    mkdir "$REPO/dir"
    echo text >"$REPO/dir/file"
    git -C "$REPO" add .
    git -C "$REPO" -c user.name=a -c user.email=a@b.test commit -q -m first
    sleep 0.02
}
# Everything a host may do in a repository that a job has worked in.
host_git() {
    rm -f "$T"/ran-*
    (
        cd "$1" || exit
        echo more >>file
        git status
        git diff
        git add file
        git -c user.name=a -c user.email=a@b.test commit -m second
        for d in */; do (cd "$d" && git status); done
    ) >"$T/outside.out" 2>&1 </dev/null
    :
}
ran() { ls "$T"/ran-*; }
ran_not() { ! ran; }

# 50: links that lead out of the workspace, for whoever reads or writes it.
repository
mkdir "$T/outside"
echo "secret-50" >"$T/outside/secret"
chmod 600 "$T/outside/secret"
stage staged 'cd /workspace; ln -sf '"$T"'/outside/secret file
rm -r dir; ln -s '"$T"'/outside dir; ln -s dir/secret way; echo new >plain'
outside diff -ruN "$REPO" "$UP"
check "50 control: a diff that follows links reads what they lead to" \
    grep -q secret-50 "$T/outside.out"
b diff "$JOB"
check "50 brig diff shows where a link leads" says "+$T/outside/secret"
check "50 and not what is there" says_not secret-50
b apply "$JOB"
check "50 a link lands as a link" test -L "$REPO/file" -a -L "$REPO/dir"
check "50 nothing was read or written through it" \
    test "$(cat "$T/outside/secret") $(ls "$T/outside")" = "secret-50 secret"
stage staged 'cd /workspace; rm dir; mkdir dir; echo evil-50 >dir/secret
rm file; echo evil-50 >file'
(cd "$UP" && find . -type f) >"$T/list"
(cd "$REPO" && while read -r n; do cat "$UP/$n" >"$n"; done <"$T/list") \
    >/dev/null 2>&1
check "50 control: a loop that writes by path goes through them" \
    grep -q evil-50 "$T/outside/secret"
echo "secret-50" >"$T/outside/secret"
b apply "$JOB"
check "50 brig apply replaces the link itself" \
    test ! -L "$REPO/dir" -a ! -L "$REPO/file" -a -f "$REPO/dir/secret"
check "50 and what it led to stays" \
    test "$(cat "$T/outside/secret")" = secret-50

# 52: names for one file.
repository
stage staged 'cd /workspace; ln file twin-52; echo changed-52 >>twin-52
echo new >one-52; ln one-52 dir/two-52'
careless
check "52 control: a copy keeps the names of one file" \
    test -n "$(find "$T/careless" -path '*/.git' -prune -o -links +1 -type f \
        -print)"
ln "$UP/one-52" "$T/outside/three-52"
b apply "$JOB"
check "52 a file with a name outside of what is staged is refused" \
    says "one-52: has 3 names"
check "52 with all of it" test ! -e "$REPO/twin-52"
rm "$T/outside/three-52"
b apply "$JOB"
check "52 the rest lands as files of their own" sh -c '
    test -s "$0/dir/two-52" && test -z "$(find "$0" -path "*/.git" -prune -o \
    -links +1 -type f -print)"' "$REPO"

# 55: what the git of the host would run.
hook='hook() { mkdir -p "$1"; for h in pre-commit post-commit \
    post-index-change reference-transaction; do
    printf "#!/bin/sh\ntouch '"$T"'/ran-$2\n" >"$1/$h"; chmod 755 "$1/$h"
    done; }
cd /workspace; '
for how in hooks config file bare below; do
    repository
    case $how in
    hooks) plant='hook .git/hooks hooks' ;;
    config) plant='git config core.fsmonitor "touch '"$T"'/ran-config; :"' ;;
    file) plant='cp -r .git new; hook new/hooks file; mv .git old
        echo "gitdir: new" >.git' ;;
    bare) plant='cp -r .git sub; mkdir sub/tree; cd sub
        git config -f config core.bare false
        git config -f config core.worktree tree
        git config -f config core.fsmonitor "touch '"$T"'/ran-bare; :"
        cd ..' ;;
    below) plant='git init -q sub; echo x >sub/x
        git -C sub config core.fsmonitor "touch '"$T"'/ran-below; :"' ;;
    esac
    stage unprotected "$hook $plant; echo harmless >>README"
    careless
    host_git "$T/careless"
    check "55 control, $how: the git of the host runs what a copy lands" ran
    b apply "$JOB"
    check "55 $how: brig apply refuses it" says "is protected"
    b apply "$JOB" README
    check "55 $how: what is harmless can land" grep -q harmless "$REPO/README"
    host_git "$REPO"
    check "55 $how: the git of the host works" grep -q "On branch main" \
        "$T/outside.out"
    check "55 $how: and runs nothing of the job" ran_not
    b discard "$JOB"
done
repository
stage staged "$hook hook .git/hooks protected; git config core.fsmonitor \
    'touch $T/ran-protected; :'; echo x >.git/commondir
    mv .git old; cp -r old .git; hook .git/hooks protected; echo planted-55"
check "55 a protected profile: the job tried" job_says planted-55
b apply --force-protected "$JOB"
host_git "$REPO"
check "55 a protected profile: even all of it runs nothing" ran_not

# 56, 57: files that tools of the host obey, there already or not yet.
names=".claude/settings.json .codex/config.toml .mcp.json .envrc \
    .vscode/tasks.json .gemini/settings.json .cursor/mcp.json \
    .husky/pre-commit .devcontainer/devcontainer.json .idea/workspace.xml \
    .bashrc .ssh/authorized_keys sub/.Envrc sub/.VSCODE/tasks.json"
holds() {
    (cd "$1" && for f in $names; do cat "$f"; done) 2>/dev/null |
        grep -q evil-56
}
holds_not() { ! holds "$1"; }
write='cd /workspace
for f in '"$names"'; do
    d=$(dirname $f); mkdir -p $d; echo evil-56 >$f
    mkdir -p new/$d; echo evil-56 >new/$f
    [ $d = . ] || [ $d = sub ] || { rm -rf $d; mv new/$d $d; }
done; rm -rf new; mkdir fine; echo fine >fine/file; echo planted-56'
for state in missing there; do
    for profile in unprotected staged; do
        repository
        if [ $state = there ]; then
            for f in $names; do
                mkdir -p "$(dirname "$REPO/$f")"
                echo "mine $f" >"$REPO/$f"
            done
            sleep 0.02
        fi
        stage $profile "$write"
        check "57 $state, $profile: the job tried" job_says planted-56
        if [ $profile = unprotected ]; then
            careless
            check "57 control, $state: a copy lands them" holds "$T/careless"
        fi
        b apply "$JOB"
        check "57 $state, $profile: brig apply does not" holds_not "$REPO"
        b apply "$JOB" fine
        check "57 $state, $profile: what is none of them can land" \
            test -e "$REPO/fine/file"
        b discard "$JOB"
    done
done

# 59: what may be in a layer and must not be in a workspace.
repository
stage staged 'cd /workspace; echo x >su-59; chmod 755 su-59; echo x >cap-59
mkfifo fifo-59
python3 -c "import socket; socket.socket(socket.AF_UNIX).bind(\"sock-59\")"
setfattr -n user.overlay.opaque -v y dir; setfattr -n user.overlay.redirect \
    -v /etc dir; mknod dev-59 c 1 3; mknod file-59 c 0 0; chmod 4755 su-59'
# The job cannot make these; what if it could?
chmod 4755 "$UP/su-59"
mknod "$UP/dev-59" c 1 3
setfattr -n security.capability \
    -v 0x0100000200200000000000000000000000000000 "$UP/cap-59"
mkdir -p "$UP/dir"
setfattr -n user.overlay.redirect -v /../outside "$UP/dir"
setfattr -n user.overlay.metacopy -v '' "$UP/cap-59"
careless
check "59 control: a copy lands a setuid file, a device, a fifo" test \
    -u "$T/careless/su-59" -a -c "$T/careless/dev-59" -a -p "$T/careless/fifo-59"
b diff "$JOB"
check "59 brig diff does not wait for a fifo" says "cannot be applied"
b apply "$JOB"
for what in "su-59: is setuid" "dev-59: is a device" "fifo-59: is a fifo" \
    "sock-59: is a socket" "cap-59: has the extended attribute"; do
    check "59 refused: $what" says "$what"
done
check "59 nothing of it has landed" \
    test -z "$(find "$REPO" -name '*-59')" -a -e "$REPO/dir/file"
b discard "$JOB"
check "59 and all of it can be thrown away" test ! -e "$UP"

# Without a number: what is shown acts on the terminal; what costs nothing in
# the jail fills the host.
repository
stage staged 'cd /workspace; echo x >"$(printf "a\033]0;title-0\007b")"
echo x >"$(printf "line\n+++ b/fake")"; mkdir "$(printf "d\033[2J")"
echo y >"$(printf "d\033[2J")/$(printf "\302\233H")"
printf "\033]0;title-0\007text\r\n" >file; truncate -s 1T huge'
check "control: the names have escape sequences in them" \
    sh -c 'ls "$0" | grep -q "$(printf "\\033")"' "$UP"
for how in "diff --stat" "diff --name-only" "diff --color always" "apply -n"; do
    # shellcheck disable=SC2086
    b $how "$JOB"
    check "$how shows no title, no cleared screen" sh -c '
        test -s "$0" && ! LC_ALL=C grep -e "$(printf "\\033]")" \
            -e "$(printf "\\033\\[2J")" -e "$(printf "\\302\\233")" "$0"' \
        "$T/out"
done
b diff "$JOB"
check "a name makes no line of its own in a patch" sh -c '
    test -s "$0" && ! grep -x "+++ b/fake" "$0"' "$T/out"
check "control: the job made a file of a terabyte" \
    test "$(stat -c %s "$UP/huge")" = 1099511627776
b apply "$JOB"
check "it lands with its hole" test "$(stat -c %s "$REPO/huge")" = \
    1099511627776 -a "$(stat -c %b "$REPO/huge")" -lt 100
check "names land as they are" test -e "$REPO/$(printf 'a\033]0;title-0\007b')"
rm -f "$REPO/huge"
attack_end
