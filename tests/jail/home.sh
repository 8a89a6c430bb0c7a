#!/bin/bash
# shellcheck disable=SC2016,SC2034,SC2088
# Kept homes: what a job leaves there the next one finds, nobody else does, it
# is bounded on disk, and one job has it at a time.
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

if [ ! -e /dev/loop-control ] || [ ! -x /usr/sbin/mkfs.ext4 ]; then
	skip_all "no loop devices or no mkfs.ext4"
fi

# Others mount and unmount meanwhile.
if [ -z "${BRIG_TEST_NS-}" ]; then
	BRIG_TEST_NS=1 exec unshare -m --propagation private "$0" "$@"
fi

tmp=$(mktemp -d /var/tmp/brig-home.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
mkdir "$tmp/ws" "$tmp/other" "$tmp/state"
chown 1234:1235 "$tmp/ws"
chown 2234:2235 "$tmp/other"
file=$tmp/state/homes/1234/mine
jail() { "$run" -S "$tmp/state" -w "$tmp/ws" "$@"; }
settled()
{
	local i

	for i in $(seq 100); do
		losetup -a | grep -q "$tmp" || return 0
		sleep 0.05
	done
	return 1
}

jail -H mine sh -c 'echo kept >~/f; mkdir ~/d; ls -A ~' >"$tmp/out"
is "$(cat "$tmp/out")" "d
f" a_fresh_home_is_empty
is "$(jail -H mine sh -c 'cat ~/f; stat -c %U:%G ~ ~/f ~/d | sort -u')" "kept
agent:agent" the_next_job_finds_what_it_left
is "$(jail sh -c 'ls -A ~')" "" control_without_it_the_home_is_empty
is "$(jail -H yours sh -c 'ls -A ~')" "" another_name_is_another_home
is "$("$run" -S "$tmp/state" -w "$tmp/other" -H mine sh -c 'ls -A ~')" "" \
    another_submitter_has_another_home
is "$(stat -c '%a %u' "$tmp/state/homes" "$tmp/state/homes/1234" "$file" |
    tr '\n' ' ')" "700 0 700 0 600 0 " nobody_else_reaches_it_on_the_host

chgrp 3333 "$tmp/ws"
jail -H mine sh -c 'echo more >>~/f; echo x >~/d/x; rm ~/d/x' &&
    is "$(jail -H mine sh -c 'sed -i /more/d ~/f; cat ~/f; stat -c %U:%G ~ ~/f')" \
	"kept
agent:agent
agent:agent" it_can_be_written_from_another_group_too
chgrp 1235 "$tmp/ws"

# One at a time.
jail -H mine sh -c 'echo there; sleep 3' >"$tmp/out" &
first=$!
for i in $(seq 100); do grep -q there "$tmp/out" && break; sleep 0.05; done
jail -H mine true 2>"$tmp/err"
is "$? $(grep -c 'home mine is in use by another job: wait' "$tmp/err")" \
    "125 1" a_home_is_one_jobs_at_a_time
jail -H yours true
ok $? control_another_home_is_free
wait $first
jail -H mine sh -c 'sleep 60 & kill -9 $$'
is "$?" 137 a_job_that_has_ended_lets_go_of_it
jail -H mine true
ok $? a_job_that_was_killed_lets_go_of_it

# What a job sets cannot shut the next one out.
jail -H mine sh -c 'chmod 0 ~/d ~'
is "$(jail -H mine sh -c 'cat ~/f')" kept its_mode_is_put_right
is "$(jail -H mine sh -c 'mknod ~/n c 1 3 2>/dev/null || echo no device
    cp /bin/true ~/t && ~/t && echo runs; grep -c " /home/agent .*nosuid,nodev" \
    /proc/mounts')" "no device
runs
1" it_is_nosuid_and_nodev
is "$(jail -H mine -x noexec-tmp sh -c '~/t 2>/dev/null || echo no')" no \
    noexec_holds_for_it
deny='mkdir -p ~/.ssh; echo x >~/.ssh/config; echo x >~/.profile; ls -A ~/.ssh'
is "$(jail -H rules -r '-w:home/.ssh/**' sh -c "$deny" 2>/dev/null
    jail -H rules sh -c 'ls -A ~/.ssh')" "" \
    a_rule_holds_for_what_is_not_there_yet
is "$(jail -H rules sh -c "$deny")" config control_without_the_rule_it_is_made
swap='cd; mv .claude c 2>/dev/null; mkdir -p .claude; echo x >.claude/hook
    cat .claude/hook'
for h in swapped kept; do
	jail -H $h sh -c 'mkdir ~/.claude; echo mine >~/.claude/hook'
done
is "$(jail -H swapped sh -c "$swap")" x control_a_folder_can_be_exchanged
is "$(jail -H kept -r '-w:home/.claude/hook' sh -c "$swap" 2>/dev/null)" \
    mine a_rule_holds_the_folders_above_its_file

# Bounds.  The option of the limit is that of /tmp.
fill='head -c 64M /dev/zero >~/big; echo status $?'
out=$(jail -H small -x tmp-size=8388608 sh -c "$fill" 2>&1)
is "${out##*: }" "No space left on device
status 1" a_size_limit_is_enospc_for_the_job
is $(($(du -k "$tmp/state/homes/1234/small" | cut -f 1) < 20000)) 1 \
    and_the_host_does_not_fill
out=$(jail -H large sh -c "$fill" 2>&1)
is "$out" "status 0" control_without_a_limit_it_fits
jail -H large -x tmp-size=8388608 true 2>"$tmp/err"
is "$? $(grep -c 'home large was made with more room' "$tmp/err")" "125 1" \
    a_home_larger_than_the_limit_is_refused
is "$(jail -H few -x tmp-inodes=5000 sh -c 'i=0
    while [ $i -lt 8000 ]; do true >~/f$i || break; i=$((i+1)); done
    echo $((i < 5300))' 2>/dev/null)" 1 an_inode_limit_holds

# Errors leave nothing.
before=$(grep -c . /proc/self/mountinfo)
for bad in ../x .hidden a/b '' "$(printf 'a%.0s' $(seq 65))"; do
	jail -H "$bad" true 2>/dev/null
	[ $? = 125 ] || break
done
is "$bad" "$(printf 'a%.0s' $(seq 65))" names_of_files_are_no_names_of_homes
ln -s /etc/passwd "$tmp/state/homes/1234/link"
mkfifo "$tmp/state/homes/1234/pipe"
mkdir "$tmp/state/homes/1234/dir"
head -c 1M /dev/urandom >"$tmp/state/homes/1234/noise"
for bad in link pipe dir noise; do
	timeout 10 "$run" -S "$tmp/state" -w "$tmp/ws" -H $bad true 2>"$tmp/err"
	is "$? $(wc -l <"$tmp/err") $(grep -c "home $bad" "$tmp/err")" "125 1 1" \
	    "a_${bad}_in_its_place_is_a_clear_error"
done
chmod 755 "$tmp/state/homes"
jail -H mine true 2>"$tmp/err"
is "$? $(grep -c "not root's alone" "$tmp/err")" "125 1" \
    a_folder_open_to_others_is_refused
chmod 700 "$tmp/state/homes"
# A crash while it was made.
mkdir -p "$tmp/state/homes/1234"
echo half >"$tmp/state/homes/1234/.new-again"
is "$(jail -H again sh -c 'ls -A ~; echo $?')" 0 a_half_made_one_is_made_again
for i in $(seq 300); do : >"$tmp/state/homes/1234/h$i"; done
jail -H more true 2>"$tmp/err"
is "$? $(grep -c 'has [0-9]* already' "$tmp/err")" "125 1" there_are_not_too_many
settled
ok $? no_loop_device_is_left
is "$(grep -c . /proc/self/mountinfo)" "$before" no_mount_is_left

finish
