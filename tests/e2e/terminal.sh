#!/bin/sh
# The job's terminal, leaving a job and coming back.
# shellcheck source-path=SCRIPTDIR/../..
# shellcheck disable=SC2016 # the scripts are for the job's shell
. "${BRIG_SRCDIR:?}/tests/lib.sh"

setup terminal
write_conf
cat >"$T/policy/default.policy" <<EOF
profile default { default exec allow; default read allow;
    default write allow; limit output 64M; }
EOF
chmod -R go-w "$T/policy"
start_brigd

# terminal NAME CASE
terminal() {
    check "$1" timeout 120 python3 "$BRIG_SRCDIR/tests/e2e/terminal.py" "$2"
}
terminal "the job's terminal has the size of the user's" size
terminal "a change of size reaches the program" winch
terminal "a change of size while a job starts does it no harm" winch_at_start
terminal "Ctrl-C and Ctrl-D reach the foreground job alone" interrupt
terminal "Ctrl-Z, bg, fg and background readers: job control" job_control
terminal "less and top have the whole screen and give it back" full_screen
if command -v vi >/dev/null; then
    terminal "vi has the whole screen, its size, and stops and goes on" editor
else
    skip "vi has the whole screen, its size, and stops and goes on" \
        "vim-tiny is not installed"
fi
if [ -x /usr/bin/python3 ]; then
    terminal "python's prompt: editing, history, Ctrl-C, end of file" \
        interpreter
else
    skip "python's prompt: editing, history, Ctrl-C, end of file" \
        "python3 is not installed"
fi
terminal "closing the terminal hangs the job up" hang_up
terminal "the detach keys leave the job, attach returns to it" \
    detach_and_return
terminal "--detach-keys; half of them is input" detach_keys
terminal "a client of attach may vanish" attach_gone_is_nothing
terminal "a read-only client types nothing and sets no size" read_only
terminal "answers of the terminal to a replay are not input" answers
terminal "what is rude to a terminal: attach and replay show it, logs not" \
    hostile
terminal "16 watch, each byte once; the 17th is told" many_watchers
terminal "one that does not read is sent away, the job goes on" slow_watcher
terminal "attach to a job on pipes keeps the streams apart" pipes
terminal "brig run waits for its reader and loses nothing" full_pipe
finish
