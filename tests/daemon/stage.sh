#!/bin/sh
# A job with a staged workspace, from `brig run` to `brig apply`: the host sees
# nothing until somebody lands it, all of it or parts, or throws it away.
# shellcheck disable=SC2016
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2317
. "$BRIG_SRCDIR/tests/lib.sh"
setup stage

if ! command -v git >/dev/null; then
    echo "1..0 # SKIP needs git"
    exit 0
fi
owner=1879098001
ws=$T/ws

says() {
    grep -qF -- "$1" "$T/out" || {
        cat "$T/out"
        return 1
    }
}
says_not() { ! says "$1"; }
is() {
    [ "$1" = "$2" ] || {
        echo "got '$1', wanted '$2'"
        return 1
    }
}
fails() { ! "$@"; }
audited() {
    grep -q "\"code\":\"$1\".*\"job\":\"$2\"" "$T/log/audit.jsonl"
}
# The submitter is neither root nor an administrator.
as_owner() {
    setpriv --reuid $owner --regid $owner --clear-groups \
        env HOME="$ws" GIT_CONFIG_NOSYSTEM=1 "$@"
}
wgit() { as_owner git -C "$ws" "$@"; }
# What the host sees: names, types, modes, owners, sizes, times, contents.
picture() {
    (cd "$ws" && find . -name .git -prune -o -printf \
        '%p %y %m %U:%G %s %T@ %l\n' | sort
    find . -name .git -prune -o -type f -print | sort | xargs -d '\n' md5sum)
}
# job PROFILE COMMAND: runs it staged in a fresh workspace; sets $job, $rc.
fresh() {
    rm -rf "$ws"
    mkdir -p "$ws/src"
    cd "$ws" || exit 1
    printf 'int\nmain(void)\n{\n\treturn 0;\n}\n' >src/main.c
    echo readme >README
    echo old >old.txt
    printf '#!/bin/sh\n' >run.sh
    seq 40 >moved.txt
    printf 'a\0b' >data.bin
    cd "$T" || exit 1
    chown -R $owner:$owner "$ws"
    wgit init -q &&
        wgit -c user.name=a -c user.email=a@b add . &&
        wgit -c user.name=a -c user.email=a@b commit -qm one
    sleep 0.05
}
job() {
    job_profile=$1
    rc=0
    (cd "$ws" && as_owner timeout "$(bound 60)" brig run -w . -p "$job_profile" -- \
        sh -ec "$2") >"$T/job" 2>&1 </dev/null || rc=$?
    job=j-$(as_owner brig ps -a --json | grep -o '"j-[0-9]*"' | tr -d 'j"-' |
        sort -n | tail -n 1)
    # brig run is back before the last of the job is gone.
    as_owner brig wait "$job" >/dev/null 2>&1 || :
    [ $rc = 0 ] || sed 's/^/# job: /' "$T/job"
}
# b COMMAND...: as the submitter, in the workspace; output in $T/out.
b() { (cd "$ws" && as_owner brig "$@") >"$T/out" 2>&1 </dev/null; }
state() { as_owner brig show "$job" --json | grep -o '"state": *"[a-z]*"'; }
staged_dir() { echo "$T/state/jobs/${job#j-}/staged"; }

work='printf "int\nmain(void)\n{\n\treturn 1;\n}\n" >src/main.c
rm old.txt; mkdir -p src/lib; echo new >src/lib/new.c; chmod 755 run.sh
mv moved.txt there.txt; printf "a\0c" >data.bin; ln -s README link'

write_conf
all='default exec allow;  default read allow;  default write allow;'
cat >"$T/policy/stage.policy" <<EOF
profile default { $all }
profile staged { $all  sandbox workspace staged; }
profile small { $all  sandbox workspace staged;  limit disk 8M; }
profile open { $all  sandbox workspace staged;  sandbox protect no; }
EOF
start_brigd

# ---- nothing until somebody says so -----------------------------------------
fresh
before=$(picture)
job staged "$work; cat src/main.c; ls"
check "a staged job runs" is $rc 0
check "and sees what it wrote" grep -q "return 1" "$T/job"
check "the workspace is as it was" is "$(picture)" "$before"
check "the job waits for review" is "$(state)" '"state": "review"'
check "git sees no change" is "$(wgit status --porcelain)" ""
fresh
job default "$work"
check "control: a direct job's writes are there at once" \
    test -n "$(wgit status --porcelain)"
check "control: and it ends as done" is "$(state)" '"state": "done"'
check "control: it has nothing to show" fails b diff "$job"

# ---- diff --------------------------------------------------------------------
fresh
job staged "$work"
b diff "$job"
check "brig diff exits with 1 when there are changes" is $? 1
check "shows what is new" says "+new"
check "and what is changed" says "-	return 0;"
check "with what it is now" says "+	return 1;"
check "deletions" says "deleted file mode 100644"
check "modes" says "old mode 100644"
check "renames" says "rename to there.txt"
check "binary files are marked" says "Binary files"
check "without colour when no terminal asks" fails grep -q "$(printf '\033')" \
    "$T/out"
b diff --color always "$job"
check "with colour when told" grep -q "$(printf '\033\\[32m')" "$T/out"
cp -a "$ws" "$T/patched"
b diff "$job" src README
check "a part of it can be looked at" says "src/lib/new.c"
check "without the rest" says_not "there.txt"
(cd "$ws" && as_owner brig diff "$job" src) >"$T/patch" 2>/dev/null
check "git can apply what it shows" \
    sh -c "cd '$T/patched' && git apply --check --unsafe-paths '$T/patch'"
rm -rf "$T/patched"
b diff --stat "$job"
check "--stat counts" says "changes, "
b diff --name-only "$job"
check "--name-only names" says "src/lib/new.c"
b diff --json "$job"
check "--json is for programs" python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
assert {c["path"]: c["change"] for c in d["changes"]}["old.txt"] == "deleted"
' "$T/out"

# ---- apply -------------------------------------------------------------------
b apply -n "$job"
check "a dry run says what would land" says "can be applied"
check "and lands nothing" is "$(wgit status --porcelain)" ""
b apply "$job" src/lib/new.c nosuch
check "a path where nothing is staged is an error" test $? != 0
check "that names it" says "nosuch: nothing is staged there"
check "and nothing lands" is "$(wgit status --porcelain)" ""
b apply "$job" src/lib/new.c
check "a path can be applied by itself" is "$(cat "$ws/src/lib/new.c")" new
check "and nothing else is" is "$(cat "$ws/old.txt")" old
check "it belongs to the submitter" \
    is "$(stat -c %u:%g "$ws/src/lib" "$ws/src/lib/new.c" | uniq)" \
    $owner:$owner
b diff --name-only "$job"
check "what has landed is no longer shown" says_not new.c
check "the job still waits" is "$(state)" '"state": "review"'
b apply "$job"
check "the rest can be applied" is $? 0
check "contents" grep -q "return 1" "$ws/src/main.c"
check "deletions land" test ! -e "$ws/old.txt"
check "modes land" is "$(stat -c %a "$ws/run.sh")" 755
check "renames land" test -e "$ws/there.txt" -a ! -e "$ws/moved.txt"
check "links land as links" is "$(readlink "$ws/link")" README
check "all of it belongs to the submitter" \
    is "$(find "$ws" ! -uid $owner -o ! -gid $owner | wc -l)" 0
check "nothing of ours is left in the workspace" \
    is "$(find "$ws" -name '.brig-*' | wc -l)" 0
check "the job is done with" is "$(state)" '"state": "applied"'
check "what it staged is gone" test ! -e "$(staged_dir)"
check "it is on record before and after" audited SG101 "$job"
check "with its end" audited SG201 "$job"
b apply "$job"
check "there is nothing more to apply" says "nothing staged"

# ---- discard -------------------------------------------------------------------
fresh
before=$(picture)
job staged "$work"
b discard "$job"
check "brig discard succeeds" is $? 0
check "the workspace is as it was" is "$(picture)" "$before"
check "the state says so" is "$(state)" '"state": "discarded"'
check "what it staged is gone" test ! -e "$(staged_dir)"
check "on record" audited SG102 "$job"
b diff "$job"
check "and there is nothing to show" is $? 2
job staged "true; ls >/dev/null"
check "a job that wrote nothing needs no review" is "$(state)" \
    '"state": "done"'
check "and keeps nothing" test ! -e "$(staged_dir)"

# ---- refused -------------------------------------------------------------------
fresh
job staged "$work"
as_owner sh -c "echo mine >>'$ws/src/main.c'"
before=$(picture)
b apply "$job"
check "a change of the base is refused" is $? 1
check "and named" says "src/main.c: changed in the workspace since the job"
check "with everything else left alone" is "$(picture)" "$before"
b apply "$job" old.txt
check "what did not change can land" test ! -e "$ws/old.txt"
b discard "$job"

fresh
job open 'mkdir -p .git/hooks; echo "#!/bin/sh" >.git/hooks/pre-commit
chmod 755 .git/hooks/pre-commit; echo x >README
mkfifo fifo; chmod 700 run.sh'
# Its own system calls are refused that; what if they were not?
chmod 4755 "$(staged_dir)/tree/upper/run.sh"
before=$(picture)
b apply "$job"
check "what git would run is refused" \
    says ".git/hooks/pre-commit: is protected"
check "a fifo is" says "fifo: is a fifo"
check "a setuid file is" says "run.sh: is setuid"
check "none of it landed" is "$(picture)" "$before"
b apply "$job" README
check "the rest can be named" is "$(cat "$ws/README")" x
b discard "$job"

fresh
job staged "$work"
(cd "$ws" && setpriv --reuid 1879098002 --regid 1879098002 --clear-groups \
    brig diff "$job") >"$T/out" 2>&1
check "another user cannot look" says_not "return 1"
(cd "$ws" && setpriv --reuid 1879098002 --regid 1879098002 --clear-groups \
    brig apply "$job") >"$T/out" 2>&1
check "or apply" grep -q "return 0" "$ws/src/main.c"
(cd "$ws" && setpriv --reuid 1879098002 --regid 1879098002 --clear-groups \
    brig discard "$job") >"$T/out" 2>&1
check "or discard" is "$(state)" '"state": "review"'
mv "$ws" "$ws.away"
mkdir "$ws"
chown $owner:$owner "$ws"
(cd "$T" && as_owner brig apply "$job") >"$T/out" 2>&1
check "another directory in its place is refused" says \
    "is not the directory that the job worked in"
check "and stays empty" is "$(ls -A "$ws")" ""
rmdir "$ws"
mv "$ws.away" "$ws"

# ---- restarts, limits ----------------------------------------------------------
stop_brigd
start_brigd
b apply "$job"
check "a restart of brigd keeps what is staged" is $? 0
check "and it lands" grep -q "return 1" "$ws/src/main.c"
# Stop the process that looks at what a job has staged for longer than brigd
# waits for anything else of an ended job.
cat >"$T/hold.py" <<'EOF'
import os, signal, sys, time
parent, end = sys.argv[1], time.time() + 60
children = '/proc/%s/task/%s/children' % (parent, parent)
while time.time() < end:
    for pid in open(children).read().split():
        try:
            args = open('/proc/%s/cmdline' % pid).read().split('\0')
        except OSError:
            continue
        if args[1:3] == ['-x', 'stage']:
            os.kill(int(pid), signal.SIGSTOP)
            time.sleep(4)
            os.kill(int(pid), signal.SIGCONT)
            print('held', flush=True)
            sys.exit(0)
EOF
# It may be over before it is found.
for i in 1 2 3 4 5; do
    fresh
    python3 "$T/hold.py" "$BRIGD_PID" >"$T/held" &
    holder=$!
    job staged 'i=0; while [ $i -lt 3000 ]; do : >f$i; i=$((i + 1)); done'
    sleep 0.2
    [ -s "$T/held" ] || kill $holder 2>/dev/null
    wait $holder
    [ ! -s "$T/held" ] || break
    b discard "$job"
done
check "control: the look at what is staged took long" is "$(cat "$T/held")" held
check "its job waits for review, too" is "$(state)" '"state": "review"'
check "and brigd is as well as before" as_owner brig status
b discard "$job"

if [ -e /dev/loop-control ] && [ -x /usr/sbin/mkfs.ext4 ]; then
    fresh
    job small 'head -c 64M /dev/zero >big || echo "status $?"; rm big
        echo small >small'
    check "the size of what is staged is limited" grep -q "status 1" "$T/job"
    b apply "$job"
    check "what fits lands" is "$(cat "$ws/small")" small
    check "no loop device is left" wait_for 10 sh -c \
        '! losetup -a | grep -q "$0"' "$T"
    check "nor the image" test ! -e "$(staged_dir)"
else
    skip "the size of what is staged is limited" "no loop device or mkfs.ext4"
fi

# ---- killed in the middle -------------------------------------------------------
# The stage process of brigd, if one is there.
stage_pid() { pgrep -P "$BRIGD_PID" -f 'stage' | head -n 1; }
staging() { [ -n "$(stage_pid)" ]; }
staging_or_over() { staging || ! kill -0 "$apply" 2>/dev/null; }
landed() { find "$ws/new" -type f 2>/dev/null | wc -l; }
many='mkdir -p new; for d in 1 2 3; do mkdir new/$d; for i in $(seq 100); do
    echo $i >new/$d/$i; done; done; echo new >README; rm old.txt'
fresh
job staged "$many"
kills=0
whole=0
i=0
while [ $i -lt 12 ] && [ $whole = 0 ]; do
    i=$((i + 1))
    b apply "$job" &
    apply=$!
    wait_for 5 staging_or_over
    # Later each time: from the first look to what comes after the end.
    sleep "0.0$((i * 4 % 10))"
    pid=$(stage_pid)
    [ -z "$pid" ] || ! kill -9 "$pid" 2>/dev/null || kills=$((kills + 1))
    wait "$apply"
    # Whoever looks next finishes it or takes it back.
    b diff --name-only "$job"
    n=$(landed)
    readme=$(cat "$ws/README")
    case $n.$readme.$([ -e "$ws/old.txt" ] && echo old) in
    0.readme.old) ;;
    300.new.) whole=1 ;;
    *)
        diag "killed after try $i: $n files, $readme"
        whole=2
        ;;
    esac
    [ -z "$(find "$ws" -name '.brig-*')" ] || whole=3
done
check "an apply was killed" test $kills -gt 0
check "killed at any moment it leaves all or nothing" test $whole -le 1
b apply "$job"
check "and can be done again" is "$(landed) $(cat "$ws/README")" "300 new"
check "to its end" is "$(state)" '"state": "applied"'
fresh
job staged "$many"
b apply "$job" &
apply=$!
wait_for 5 staging
kill -9 "$BRIGD_PID"
wait "$BRIGD_PID" 2>/dev/null
wait "$apply"
start_brigd
b apply "$job"
check "killed with brigd itself it can be done again, too" \
    is "$(landed) $(cat "$ws/README")" "300 new"
finish
