#!/bin/sh
# git of the host renames a new file over its configuration while a job waits
# for that moment: a mount on the old file goes with it.
# shellcheck disable=SC2016,SC2317
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-rename
cat >>"$T/policy/default.policy" <<'EOF'
profile open {
    default exec allow;  default read allow;  default write allow;
    sandbox protect no;
}
EOF
brig policy reload >/dev/null
REPO=${T:?}/repo
TIMES=200

# Whatever the job may do with the two names, and with the next file that git
# is about to rename over them, as fast as it goes.
spin='
import os
text = b"[core]\n\tfsmonitor = touch '"$T"'/ran-spin\n"
def add(name, flags=0):
    fd = os.open(name, os.O_WRONLY | os.O_APPEND | flags)
    os.write(fd, text)
    os.close(fd)
def replace(name):
    add("mine", os.O_CREAT)
    os.rename("mine", name)
os.chdir("/workspace")
names = [".git/config", ".git/config.worktree"]
ways = []
for n in names:
    lock = n + ".lock"
    ways += [(add, n), (replace, n), (add, lock), (replace, lock),
             (os.unlink, lock), (os.rmdir, lock), (os.rename, lock, "away"),
             (os.link, lock, "linked"), (add, "linked"), (os.unlink, "linked")]
open("ready", "w")
while not os.path.exists("stop"):
    for way, *args in ways:
        try:
            way(*args)
        except OSError:
            pass
print("done-55")
'

repository() {
    rm -rf "${REPO:?}" "${T:?}"/ran-*
    git -c init.defaultBranch=main init -q "$REPO"
    git -C "$REPO" config extensions.worktreeConfig true
    echo text >"$REPO/file"
    cp "$REPO/.git/config" "$T/config-before"
}

start_job() {
    timeout "$(bound 120)" brig run -p "$1" -w "$REPO" -- python3 -c "$spin" \
        >"$T/job.out" 2>&1 </dev/null &
    JOB=$!
    wait_for 20 test -e "$REPO/ready"
}

end_job() {
    touch "$REPO/stop"
    wait "$JOB" || :
}

# As it is for people: some of it may fail, git has to go on.
host_sets() {
    n=0
    while [ $n -lt $TIMES ]; do
        n=$((n + 1))
        git -C "$REPO" config user.name "n$n"
        git -C "$REPO" config --worktree user.email "n$n@b.test"
    done >"$T/outside.out" 2>&1 </dev/null
    :
}

# The job need not win the first race, nor keep what it has won: git may write
# over it right away.
host_sets_until_touched() {
    n=0
    while [ "$n" -lt 2000 ] && [ ! -e "$T/touched" ]; do
        n=$((n + 1))
        git -C "$REPO" config user.name "n$n"
        ! grep -q ran-spin "$REPO/.git/config" || touch "$T/touched"
    done >"$T/outside.out" 2>&1 </dev/null
}

# control PROFILE [HELD]: a job gets at the configuration, with HELD removed.
# Both sides are fast and blind: a race that neither wins is run again.
control() {
    rm -f "$T/touched"
    for _ in 1 2 3 4 5; do
        repository
        start_job "$1"
        [ -z "${2-}" ] || rmdir "$REPO/$2"
        host_sets_until_touched
        end_job
        [ ! -e "$T/touched" ] || return 0
        echo "# not yet, after $n times: $(tail -n 1 "$T/outside.out")"
        sed 's/^/# job: /' "$T/job.out"
        find "$REPO/.git" -maxdepth 1 -printf '# %M %s %f\n'
    done
    return 1
}

untouched() {
    cmp "$T/config-before" "$REPO/.git/config" &&
        ! grep -s fsmonitor "$REPO/.git/config.worktree"
}

check "55 control: without protection the job is in the configuration" \
    control open
check "55 control: it is, too, where git of the host may rename" \
    control default .git/config.lock

repository
start_job default
host_sets
check "55 git of the host is refused to rename, each time" \
    test "$(grep -c 'could not lock config file .*File exists' \
        "$T/outside.out")" = $((2 * TIMES))
check "55 it works otherwise while the job runs" sh -c '
    cd "$0" && git add file &&
    git -c user.name=a -c user.email=a@b.test commit -q -m first &&
    git checkout -q -b side && git status' "$REPO"
check "55 nothing of the job is in the configuration" untouched
end_job
check "55 nor is it after the job" untouched
check "55 the job tried to its end" job_says done-55
check "55 no lock is left behind" sh -c '! ls "$0"/.git/*.lock' "$REPO"
check "55 git of the host sets what it likes after the job" \
    git -C "$REPO" config user.name after
git -C "$REPO" status >/dev/null 2>&1
check "55 and has run nothing of the job" sh -c '! ls "$0"/ran-*' "$T"
attack_end
