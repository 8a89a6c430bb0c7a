#!/bin/bash
# shellcheck disable=SC2016,SC2012,SC2034,SC2086
# The jail's file tree: folders of the host, /proc, names that are denied
# before they exist.  Each refusal has a control without the setting.
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(mktemp -d /opt/brig-tree.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
ws=$tmp/ws
# The removal of placeholders follows the end of the jail: wait for it.
settled()
{
	local i

	for i in $(seq 100); do
		pgrep -f -x "$run.*$ws.*" >/dev/null || return 0
		sleep 0.05
	done
}
jail() { "$run" -w "$ws" "$@"; local r=$?; settled; return $r; }
as_owner() { setpriv --reuid 1234 --regid 1235 --clear-groups "$@"; }

# trees
mkdir -p "$tmp/tree/sub" "$tmp/real"
echo data >"$tmp/tree/sub/f"
cp /bin/true "$tmp/tree/true"
ln -s real "$tmp/link"
is "$("$run" cat "$tmp/tree/sub/f" 2>/dev/null)" "" \
    control_a_folder_of_the_host_is_not_there
is "$("$run" -R "$tmp/tree" cat "$tmp/tree/sub/f")" data tree_is_at_its_place
"$run" -R "$tmp/tree" "$tmp/tree/true"
ok $? programs_of_a_tree_run
chmod 777 "$tmp/tree"
is "$("$run" -R "$tmp/tree" sh -c 'echo x >"$1/x"' sh "$tmp/tree" 2>&1 |
    grep -c 'Read-only')" 1 tree_is_read_only
bad()
{
	"$run" -R "$1" true 2>"$tmp/err"
	is "$? $(grep -c "sandbox tree $1: $2" "$tmp/err")" "125 1" "$3"
}
before=$(grep -c . /proc/self/mountinfo)
bad "$tmp/none" 'not a folder' missing_tree_is_a_clear_error
bad "$tmp/link" 'not a folder' tree_behind_a_link_is_refused
bad "$tmp/tree/true" 'not a folder' tree_that_is_a_file_is_refused
bad /home 'the jail has' tree_above_the_home_is_refused
bad /dev/shm 'the jail has' tree_in_dev_is_refused
bad /var/tmp 'the jail has' tree_in_var_tmp_is_refused
bad / 'the jail has' tree_of_everything_is_refused
is "$(grep -c . /proc/self/mountinfo)" "$before" nothing_stays_mounted

# /proc
grep -q . /proc/cmdline
ok $? control_the_host_has_a_command_line
is "$("$run" sh -c 'cat /proc/cmdline /proc/keys /proc/kallsyms /proc/locks \
    /proc/interrupts /proc/sysrq-trigger 2>/dev/null; ls /proc/fs /proc/bus \
    /proc/irq /proc/acpi /proc/scsi 2>/dev/null | grep -v : | grep .')" "" \
    host_parts_of_proc_are_hidden
is "$("$run" sh -c 'for f in cpuinfo meminfo stat uptime version loadavg \
    filesystems mounts sys/kernel/random/boot_id self/maps; do
    test -s /proc/$f || grep -q . /proc/$f || echo $f; done')" "" \
    what_programs_read_of_proc_is_there
is "$("$run" sh -c 'for f in sysrq-trigger keys sys/kernel/core_pattern; do
    (echo h >/proc/$f) 2>/dev/null && echo $f; done')" "" proc_cannot_be_written
is "$("$run" ls /dev | tr '\n' ' ')" \
    "fd full null ptmx pts random shm stderr stdin stdout tty urandom zero " \
    dev_holds_nothing_else

# protected names
fresh()
{
	rm -rf "$ws"
	mkdir "$ws"
	chown 1234:1235 "$ws"
	as_owner git init -q "$ws"
	as_owner rm -r "$ws/.git/hooks"
}
names='.claude .codex .cursor .devcontainer .envrc .gemini .husky .idea
    .mcp.json .vscode .git/hooks .git/commondir .git/config.worktree
    .git/config.lock .git/config.worktree.lock'
plant='for f in '${names//$'\n'/ }'; do
    mkdir -p $f; echo x >$f; echo x >$f/evil; rm -rf $f; mv $f z; ln -s . $f
done; echo "[core]" >.git/config; echo x >.git/config.lock
mv .git/config.lock .git/config; mv .git .g && mkdir -p .git/hooks &&
    echo x >.git/hooks/evil'
fresh
jail sh -c "$plant" 2>/dev/null
test -e "$ws/.g" -a -e "$ws/.git/hooks/evil"
ok $? control_without_protection_they_are_planted
fresh
want=$(cd "$ws" && find . | sort)
sum=$(md5sum <"$ws/.git/config")
jail -x protect sh -c "$plant" 2>/dev/null
is "$(find "$ws" -name evil)" "" protected_names_cannot_be_planted
is "$(md5sum <"$ws/.git/config")" "$sum" git_config_is_as_before
# mv(1) copies what it cannot move.
rm -rf "$ws/z"
is "$(cd "$ws" && find . | sort)" "$want" placeholders_are_gone_after
fresh
git='-e GIT_AUTHOR_NAME=n -e GIT_AUTHOR_EMAIL=a@b -e GIT_COMMITTER_NAME=n
    -e GIT_COMMITTER_EMAIL=a@b'
is "$(jail -x protect $git sh -c 'echo a >a; git add -A && git commit -qm x &&
    git checkout -q -b b && git stash list && git ls-files && git status -s &&
    git init -q sub && git clone -q . c2 && git -C c2 log --format=%s' 2>&1)" \
    "a
x" git_works_in_a_protected_workspace
fresh
mkdir "$ws/conf" "$ws/.claude"
echo mine >"$ws/.claude/settings.json"
ln -s conf "$ws/.codex"
chown -R -h 1234:1235 "$ws"
jail -x protect sh -c 'echo x >.claude/settings.json; echo x >conf/config.toml
    rm .codex; mv conf c; mv .claude d' 2>/dev/null
is "$(cat "$ws/.claude/settings.json"; readlink "$ws/.codex"; ls "$ws/conf")" \
    "mine
conf" existing_files_and_the_target_of_a_link_are_protected

# what a rule names before it exists
fresh
deny=(-r -r:workspace/.env -r -w:workspace/a/b/c -r '-w:workspace/d/**')
try='echo x >.env; mkdir -p a/b d; echo x >a/b/c; echo x >d/f; mv a z; echo y >a/q
    cat .env'
jail "${deny[@]}" sh -c "$try" >"$tmp/out" 2>/dev/null
is "$(cat "$tmp/out"; cd "$ws" && find a d .env z 2>/dev/null | tr '\n' ' ')" \
    "a a/q " missing_names_are_covered_and_nothing_is_left
fresh
jail sh -c "$try" >"$tmp/out" 2>/dev/null
is "$(cat "$tmp/out"; cat "$ws/z/b/c" "$ws/d/f")" "x
x
x" control_without_rules_they_are_made
fresh
jail -r -w:workspace/own/f -r +w:workspace/src/** -x deny-write true
is "$(ls "$ws")" src no_placeholder_where_somebody_keeps_a_file
fresh
: >"$ws/.envrc"
mkdir "$ws/.vscode"
chown -R 1234:1235 "$ws"
jail -x protect true
is "$(cd "$ws" && ls -d .envrc .vscode | tr '\n' ' ')" ".envrc .vscode " \
    empty_files_of_people_are_not_placeholders
chmod 555 "$ws"
jail -x protect sh -c 'mkdir .claude 2>/dev/null || echo no' >"$tmp/out"
is "$(cat "$tmp/out"; ls -A "$ws" | tr '\n' ' ')" "no
.envrc .git .vscode " no_placeholder_where_the_submitter_cannot_write
# Two jobs: the second one relies on what the first has made.
fresh
"$run" -w "$ws" -x protect sh -c 'sleep 0.5' &
sleep 0.2
"$run" -w "$ws" -x protect sh -c 'sleep 1.2; mkdir .claude/x; echo x >.envrc
    rmdir .claude; mkdir -p .claude/x' 2>/dev/null &
wait
settled
is "$(cd "$ws" && ls -A | tr '\n' ' ')" ".git " \
    placeholder_stays_until_its_last_job_ends
# A crash: nobody removed them.
"$run" -w "$ws" -x protect sleep 30 &
sleep 0.3
pkill -9 -x brig-places -u 1234
kill -9 $!
wait 2>/dev/null
is "$(cd "$ws" && ls -d .claude)" .claude control_a_crash_leaves_placeholders
sleep 0.2
jail -x protect sh -c 'mkdir .claude/x' 2>/dev/null
is "$(cd "$ws" && ls -A | tr '\n' ' ')" ".git " the_next_job_takes_them_over

finish
