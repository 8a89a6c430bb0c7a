#!/bin/sh
# Attacks on other processes: reading the supervisor and siblings, posing as
# another program, approving one's own asks.
# shellcheck disable=SC2016
# shellcheck source=lib.sh
. "$BRIG_SRCDIR/tests/attack/lib.sh"
attack_setup attack-processes
cat >>"$T/policy/default.policy" <<EOF
profile spoof {
    default exec deny;  default read allow;  default write allow;
    allow exec {sh,dash,bash,cp,ln,cat,ls,env,true,chmod} ...;
    allow exec git status;
    deny  exec rm ... because "rm is denied here";
}
profile asks {
    default exec allow;  default read allow;  default write allow;
    ask exec touch ... because "somebody must look";
    ask timeout 20s then deny;
}
EOF
brig policy reload >/dev/null

# 54: /proc of the supervisor and of a sibling job.
cat "/proc/$BRIGD_PID/cmdline" >"$T/outside.out"
check "54 control: the supervisor's cmdline can be read on the host" \
    grep -q brigd "$T/outside.out"
brig submit -- sh -c 'exec env SIBLING_MARK=here sleep 30' >"$T/sibling"
wait_for 10 sh -c "grep -lza SIBLING_MARK=here /proc/[0-9]*/environ 2>/dev/null | grep -q ."
check "54 control: the sibling's environment can be read on the host" \
    sh -c 'grep -lza SIBLING_MARK=here /proc/[0-9]*/environ 2>/dev/null | grep -q .'
job "ls -d /proc/[0-9]* | wc -l
for p in /proc/[0-9]*; do cat \$p/environ \$p/cmdline 2>/dev/null | tr '\0' '\n'; done
for f in environ mem maps fd cmdline root; do
    cat /proc/$BRIGD_PID/\$f /proc/1/root/\$f 2>&1 | head -c 200; done
find / -name brigd.sock -o -name jobs.db -o -name vault.key 2>/dev/null"
check "54 a job sees a handful of processes" sh -c \
    'test "$(head -n 1 "$0")" -le 8' "$T/job.out"
check "54 not the sibling" job_does_not_say SIBLING_MARK
check "54 not the supervisor" job_does_not_say "brigd.conf"
check "54 and no real value in what it can read" no_canary "$T/job.out"
check "54 pid 1 of the jail cannot be read or written" sh -c '
    "$@"' sh brig run -- sh -c '
    ! cat /proc/1/mem >/dev/null 2>&1 && ! cat /proc/1/environ 2>/dev/null | grep -q . '
brig kill -s KILL "$(cat "$T/sibling")" >/dev/null 2>&1 || :

# 72: posing as another program.
spoof() {
    rm -rf "$T/ws/victim"
    echo precious >"$T/ws/victim"
    timeout "$(bound 30)" brig run -p spoof -w "$T/ws" -- sh -c "cd /workspace; $1" \
        >"$T/job.out" 2>&1 </dev/null || :
}
cp /bin/rm "$T/ws/rm-copy"
echo precious >"$T/victim"
(cd "$T" && bash -c 'exec -a git ./ws/rm-copy victim')
check "72 control: the copied rm removes a file outside" test ! -e "$T/victim"
spoof 'cp victim copied; true'
check "72 control: an allowed program works in that profile" \
    test -e "$T/ws/copied"
for trick in 'rm victim' '/bin/rm victim' '../usr/bin/rm victim' \
    '//bin//rm victim' 'cp /bin/rm git; ./git victim' \
    'cp /bin/rm git; PATH=.:$PATH git victim' \
    'ln -s /bin/rm git; ./git victim' 'ln -sf /bin/rm git; PATH=.:$PATH git victim' \
    'bash -c "exec -a git rm victim"' './rm-copy victim' 'env rm victim' \
    '/lib64/ld-linux-x86-64.so.2 /bin/rm victim' \
    'bash -c "exec -a git ./rm-copy victim"' \
    'echo "#!/bin/rm" >s; chmod +x s; ./s victim'; do
    rm -f "$T/ws/git" "$T/ws/s"
    spoof "$trick"
    check "72 $trick: the file is still there" test -e "$T/ws/victim"
done
check "72 the refusal names its reason" job_says "rm is denied here"
check "72 denials are recorded with their rule" audited EX401 "default.policy:"

# 75: approving one's own ask.
background timeout "$(bound 60)" brig run -p asks -w "$T/ws" -- sh -c 'touch /workspace/a75; ls /workspace' >"$T/a75.out" 2>&1
wait_for 10 sh -c 'brig asks | grep -q A-'
id=$(brig asks | grep -o 'A-[0-9]*' | head -n 1)
check "75 control: an ask is waiting" test -n "$id"
cp "$BRIG_BUILDDIR/brig" "$T/ws/brig"
job "/workspace/brig --socket $T/run/brigd.sock approve $id
BRIG_SOCKET=$T/run/brigd.sock /workspace/brig approve $id
echo y >/dev/tty; exit 0"
check "75 from inside the jail there is no socket to approve at" sh -c \
    '! grep -qi "approved\|allowed" "$0"' "$T/job.out"
check "75 the ask is still waiting" sh -c 'brig asks | grep -q "$0 "' "$id"
chmod 711 "$T" "$T/run"
chmod 666 "$T/run/brigd.sock"
for uid in "$JOB_UIDS" $((JOB_UIDS + 1)) 65534; do
    setpriv --reuid=$uid --regid=$uid --clear-groups \
        "$BRIG_BUILDDIR/brig" --socket "$T/run/brigd.sock" approve "$id" \
        >"$T/outside.out" 2>&1 && echo "approved as $uid" >>"$T/a75.bad"
done
check "75 nor may another user, or a job's uid, approve" \
    test ! -e "$T/a75.bad"
check "75 nothing happened yet" test ! -e "$T/ws/a75"
check "75 control: root approves it" brig approve "$id"
check "75 control: and then it happens" wait_for 10 test -e "$T/ws/a75"
attack_end
