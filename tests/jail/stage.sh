#!/bin/bash
# shellcheck disable=SC2016
# The staged workspace as a jail sees it: what it writes stays in the upper
# layer, which belongs to the submitter on disk and is bounded; and what cannot
# be staged is an error that leaves nothing behind.
set -u
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

tmp=$(mktemp -d /var/tmp/brig-stage.XXXXXX)
trap 'rm -rf "$tmp"' EXIT
chmod 755 "$tmp"
ws=$tmp/ws
jd=$tmp/job

fresh()
{
	rm -rf "$ws" "$jd"
	mkdir -p "$ws/dir/sub" "$jd"
	echo one >"$ws/one"
	echo two >"$ws/two"
	echo in >"$ws/dir/in"
	chown -R 1234:1235 "$ws"
}

jail() { "$run" -w "$ws" -x "staged=$jd" "$@"; }

# Names, sizes, modes, owners: not the times, which reading changes.
list() { (cd "$1" && find . -printf '%p %s %m %U:%G %T@\n' | sort); }

change='echo more >>one; rm two; mkdir new; echo n >new/n; rm -r dir
mkdir dir; echo other >dir/x; ln -s one link; chmod 700 dir'

for how in by-fd by-path; do
	more=()
	[ $how = by-fd ] || more=(-x stage-by-path)
	fresh
	before=$(list "$ws")
	jail "${more[@]}" sh -c "cd /workspace; $change"
	ok $? "a_job_writes_its_staged_workspace_$how"
	is "$(list "$ws")" "$before" "nothing_of_it_reaches_the_workspace_$how"
	up=$jd/staged/tree/upper
	is "$(cat "$up/one" "$up/new/n" "$up/dir/x" 2>&1)" "one
more
n
other" "what_it_wrote_is_in_the_upper_layer_$how"
	is "$(find "$up" ! -uid 1234 -o ! -gid 1235 | wc -l)" 0 \
	    "staged_files_belong_to_the_submitter_on_disk_$how"
	is "$(stat -c '%F %t,%T' "$up/two")" "character special file 0,0" \
	    "a_deletion_is_a_whiteout_$how"
	is "$(python3 -c 'import os, sys
print(os.getxattr(sys.argv[1], "user.overlay.opaque").decode())' "$up/dir")" \
	    y "a_directory_made_again_is_opaque_$how"
done

fresh
jail sh -c 'cd /workspace
mknod w c 0 0 2>/dev/null || echo no whiteout
python3 -c "import os; os.setxattr(\"dir\", \"user.overlay.opaque\", b\"y\")" \
    2>/dev/null
cat dir/in' >"$tmp/out"
is "$(cat "$tmp/out")" "no whiteout
in" a_job_cannot_make_what_the_overlay_reads_as_its_own_notes

# ---- limits --------------------------------------------------------------
fill='cd /workspace; head -c 64M /dev/zero >big; echo status $?; cat one'
if [ -e /dev/loop-control ] && [ -x /usr/sbin/mkfs.ext4 ]; then
	fresh
	out=$(jail -x stage-size=8388608 sh -c "$fill" 2>&1)
	case $out in
	*"No space left"*"status 1"*one*) ok 0 a_size_limit_is_enospc_for_the_job ;;
	*) ok 1 a_size_limit_is_enospc_for_the_job; echo "# $out" ;;
	esac
	is $(($(du -k "$jd" | tail -n 1 | cut -f 1) < 20000)) 1 \
	    and_the_host_does_not_fill
	fresh
	out=$(jail -x stage-inodes=5000 sh -c 'cd /workspace
	    i=0; while [ $i -lt 8000 ]; do true >f$i || break; i=$((i+1)); done
	    echo $((i < 5300))' 2>/dev/null)
	is "$out" 1 an_inode_limit_holds
	is "$(losetup -a | grep -c "$tmp")" 0 no_loop_device_is_left
else
	skip a_size_limit_is_enospc_for_the_job "no loop device or mkfs.ext4"
fi
fresh
out=$(jail sh -c "$fill" 2>&1)
is "${out##*status }" "0
one" control_without_a_limit_it_fits

# ---- errors ----------------------------------------------------------------
mounts() { wc -l </proc/self/mounts; }
m0=$(mounts)
fresh
out=$("$run" -x "staged=$jd" true 2>&1)
case $out in
*"needs a workspace"*) ok 0 staged_without_a_workspace_is_an_error ;;
*) ok 1 staged_without_a_workspace_is_an_error; echo "# $out" ;;
esac
# A file system that has no user xattrs below the state directory: ramfs.
out=$(unshare -m sh -c "mount -t ramfs none '$jd' && exec '$run' -w '$ws' \
    -x 'staged=$jd' sh -c 'echo it ran; echo x >/workspace/n; ls $jd'; \
    ls -A '$jd'" 2>&1)
case $out in
*"it ran"*) ok 1 an_unsupported_file_system_is_an_error; echo "# $out" ;;
*staged:*|*overlay:*) ok 0 an_unsupported_file_system_is_an_error ;;
*) ok 1 an_unsupported_file_system_is_an_error; echo "# $out" ;;
esac
left=$(unshare -m sh -c "mount -t ramfs none '$jd' && { '$run' -w '$ws' \
    -x 'staged=$jd' true 2>/dev/null; ls -A '$jd'; }")
is "$left" "" and_leaves_nothing
is "$(mounts)" "$m0" and_no_mount
fresh
mkdir "$jd/staged"
echo precious >"$jd/staged/image"
out=$(jail true 2>&1)
is "$? $(cat "$jd/staged/image")" "125 precious" \
    staged_work_that_is_there_is_never_overwritten

finish
