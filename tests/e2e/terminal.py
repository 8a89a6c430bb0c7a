"""Programs on a job's terminal as a person at one has them: terminal.py CASE.

Each case drives `brig` over a pty.  Exit status 0: the claim holds.
"""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

LIMIT = 30


class Terminal:
    """A program on a pty, with what it has written so far."""

    def __init__(self, *argv, rows=33, cols=77):
        self.out = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            set_size(0, rows, cols)
            os.execvp(argv[0], argv)

    def type(self, text):
        os.write(self.fd, text if isinstance(text, bytes) else text.encode())

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self.fd, 65536)
        except OSError:
            piece = b""
        self.out += piece
        return piece != b""

    def wait_for(self, pattern, after=0):
        """The first match beyond offset after; fails after LIMIT seconds."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            match = re.search(pattern, self.out[after:], re.S)
            if match:
                return match
            if not self.read(0.2) and self.gone():
                break
        raise AssertionError(
            "no %r in %r" % (pattern, self.out[after:][-2000:]))

    def command(self, text, pattern):
        at = len(self.out)
        self.type(text + "\n")
        return self.wait_for(pattern, at)

    def gone(self):
        return os.waitid(os.P_PID, self.pid,
                         os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def end(self):
        """Exit status, once it is over."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0):
                    pass
                return os.waitstatus_to_exitcode(status)
        raise AssertionError("does not end: %r" % self.out[-2000:])

    def resize(self, rows, cols):
        set_size(self.fd, rows, cols)

    def hang_up(self):
        os.close(self.fd)


def set_size(fd, rows, cols):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def brig(*args, status=0):
    done = subprocess.run(["brig", *args], stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=LIMIT)
    assert status is None or done.returncode == status, done
    return done.stdout.decode(errors="replace")


def state(job):
    shown = brig("show", job)
    return re.search(r"^state +(\S+)", shown, re.M).group(1)


def wait_state(job, want):
    end = time.monotonic() + LIMIT
    while state(job) != want:
        assert time.monotonic() < end, (state(job), want)
        time.sleep(0.1)


def shell(*options):
    """brig run with an interactive shell, at its prompt."""
    t = Terminal("brig", "run", *options, "--", "bash", "--norc", "-i")
    t.type("PS1='@''@ '\n")
    t.wait_for(rb"[\nh]@@ ")
    return t


def job_of(t):
    return "j-" + re.search(r"brig-j-(\d+)", t.command(
        "hostname", rb"brig-j-\d+\r").group(0).decode()).group(1)


KEYS = b"\x10\x11"


def detach(t):
    time.sleep(0.2)
    t.type(KEYS)
    assert t.end() == 0, t.out
    assert b"detached from" in t.out, t.out


def submit(*command, tty=True):
    args = ["-t"] if tty else []
    return brig("submit", *args, "--", *command).strip()


# ---- cases -----------------------------------------------------------------

def size():
    t = shell()
    t.command("stty size", rb"33 77")
    t.resize(20, 50)
    t.wait_for(rb"@@ ")
    t.command("stty size", rb"20 50")
    t.type("exit 5\n")
    assert t.end() == 5


def winch():
    t = Terminal("brig", "run", "--", "bash", "-c",
                 "trap 'echo size $(stty size)' WINCH; echo up; "
                 "while :; do sleep 0.1; done")
    t.wait_for(rb"up")
    t.resize(41, 99)
    t.wait_for(rb"size 41 99")
    t.type("\x03")
    assert t.end() == 130, t.out


def winch_at_start():
    """A signal before the job's first program is one."""
    for _ in range(20):
        job = submit("bash", "-c", "echo up-$((1+1)); sleep 0.2")
        t = Terminal("brig", "attach", job)
        assert t.end() == 0, t.out
        assert b"up-2" in t.out, t.out


def interrupt():
    t = shell()
    t.type("sleep 100\n")
    time.sleep(0.5)
    t.type("\x03")
    t.command("echo status $?", rb"status 130")
    t.type("cat\n")
    time.sleep(0.3)
    t.type("\x04")
    t.command("echo cat $?", rb"cat 0")
    t.type("exit\n")
    assert t.end() == 0


def job_control():
    t = shell()
    assert b"no job control" not in t.out, t.out
    t.type("sleep 100\n")
    time.sleep(0.5)
    t.type("\x1a")
    t.wait_for(rb"Stopped")
    t.command("bg", rb"\[1\]\+? sleep 100 &")
    t.command("jobs", rb"Running +sleep 100")
    t.type("fg\n")
    time.sleep(0.5)
    t.type("\x03")
    t.command("jobs; echo left $?", rb"left 0")
    # A background process that reads the terminal is stopped.
    t.command("cat & sleep 0.5; jobs", rb"Stopped +cat")
    # It dies when it goes on; until then the shell would not let us out.
    t.command("kill %1; until [ -z \"$(jobs -s)\" ]; do sleep 0.1; done; "
              "echo gone-$((1+1))", rb"gone-2\r")
    t.type("exit\n")
    t.end()


def full_screen():
    t = shell()
    at = len(t.out)
    t.type("seq 1 500 | less\n")
    t.wait_for(rb"\n:|32\r\n", at)
    at = len(t.out)
    t.type("G")
    t.wait_for(rb"500", at)
    at = len(t.out)
    t.type("q")
    t.wait_for(rb"@@ ", at)
    t.command("echo after-$((1+1))", rb"after-2")
    at = len(t.out)
    t.type("top\n")
    t.wait_for(rb"MiB Swap", at)
    at = len(t.out)
    t.type("q")
    t.wait_for(rb"@@ ", at)
    t.command("stty -a", rb"[ ;]icanon")
    t.type("exit\n")
    t.end()


def editor():
    """vim takes the screen, follows its size, writes, and gives it back."""
    t = shell()
    at = len(t.out)
    t.type("vi -u NONE -N /tmp/text\n")
    t.wait_for(rb"\x1b\[\?1049h", at)
    t.type("ihello\x1b")
    t.wait_for(rb"hello", at)
    t.resize(20, 50)
    time.sleep(0.5)
    at = len(t.out)
    t.type(":set lines? columns?\n")
    t.wait_for(rb"lines=20.*columns=50", at)
    at = len(t.out)
    t.type("\n:wq\n")
    t.wait_for(rb"\x1b\[\?1049l", at)
    t.wait_for(rb"@@ ", at)
    t.command("cat /tmp/text; stty -a", rb"[\r\n]hello\r\n.*[ ;]icanon")
    # Suspended in the middle, and taken up again.
    at = len(t.out)
    t.type("vi -u NONE -N /tmp/text\n")
    t.wait_for(rb"hello", at)
    at = len(t.out)
    t.type("\x1a")
    t.wait_for(rb"Stopped", at)
    at = len(t.out)
    t.type("fg\n")
    t.wait_for(rb"hello", at)
    at = len(t.out)
    t.type(":q!\n")
    t.wait_for(rb"@@ ", at)
    t.command("echo left-$((1+1))", rb"left-2")
    t.type("exit\n")
    t.end()


def interpreter():
    """python's prompt: line editing, history, Ctrl-C, end of file."""
    t = Terminal("brig", "run", "--", "/usr/bin/python3", "-q")
    t.wait_for(rb">>> ")
    t.command("6 * 7", rb"\n42\r\n>>> ")
    # Up, one character back, a digit more, as readline has it.
    t.command("\x1b[A\x1b[D1", rb"\n102\r\n>>> ")
    t.command("import time; print('be' 'gun'); time.sleep(100)", rb"begun")
    time.sleep(0.3)
    t.type("\x03")
    t.wait_for(rb"KeyboardInterrupt.*>>> ")
    t.command("import os; os.get_terminal_size()",
              rb"columns=77, lines=33.*>>> ")
    t.type("\x04")
    assert t.end() == 0, t.out


def hang_up():
    t = shell()
    job = job_of(t)
    t.hang_up()
    brig("wait", job, status=None)
    assert state(job) != "running"


def detach_and_return():
    t = shell()
    job = job_of(t)
    t.command("mark=kept; echo before-$mark", rb"before-kept")
    detach(t)
    assert state(job) == "running"
    # Nobody is there; the shell is.
    t = Terminal("brig", "attach", job, rows=25, cols=60)
    t.wait_for(rb"before-kept")
    time.sleep(0.3)
    t.command("echo again-$mark", rb"again-kept")
    t.command("stty size", rb"25 60")
    t.type("exit 7\n")
    assert t.end() == 7
    # And it is over.
    done = subprocess.run(["brig", "attach", job], stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, timeout=LIMIT)
    assert done.returncode == 7, done
    assert b"again-kept" in done.stdout


def detach_keys():
    t = shell("--detach-keys", "ctrl-a,d")
    job = job_of(t)
    # Half of the sequence is the shell's.
    t.command("\x01echo x\x10y", rb"x")
    time.sleep(0.2)
    t.type(b"\x01d")
    assert t.end() == 0
    assert state(job) == "running"
    brig("kill", "-s", "KILL", job)
    brig("run", "--detach-keys", "ctrl-", "true", status=125)


def attach_gone_is_nothing():
    job = submit("bash", "--norc", "-i")
    t = Terminal("brig", "attach", job)
    time.sleep(0.5)
    t.command("echo here-$((1+1))", rb"here-2")
    t.hang_up()
    os.kill(t.pid, signal.SIGKILL)
    time.sleep(0.5)
    assert state(job) == "running"
    t = Terminal("brig", "attach", job)
    t.wait_for(rb"here-2")
    time.sleep(0.3)
    t.type("exit 3\n")
    assert t.end() == 3


def read_only():
    job = submit("bash", "--norc", "-i")
    w = Terminal("brig", "attach", "--read-only", job, rows=10, cols=10)
    t = Terminal("brig", "attach", job)
    time.sleep(0.5)
    w.type("echo never-$((40+2))\n")
    t.command("echo once-$((20+2))", rb"once-22")
    w.wait_for(rb"once-22")
    t.command("stty size", rb"33 77")
    assert b"never" not in t.out, t.out
    w.type("\x03")
    assert w.end() == 0
    t.command("echo still-$((1+1))", rb"still-2")
    t.type("exit\n")
    t.end()


def answers():
    """What a terminal answers to the replay is not typed into the job."""
    job = submit("bash", "--norc", "-i")
    t = Terminal("brig", "attach", job)
    time.sleep(0.5)
    t.command("printf '\\033[c'; echo asked-$((1+1))", rb"asked-2")
    detach(t)
    t = Terminal("brig", "attach", job)
    t.wait_for(rb"\x1b\[c")
    t.type(b"\x1b[?62;c")
    time.sleep(0.5)
    t.command("echo clean-$((1+1))", rb"clean-2")
    assert b"62;c" not in t.out, t.out
    t.type("exit\n")
    t.end()


def hostile():
    """What was printed for the terminal, seen by each command."""
    rude = b"\x1b]0;owned\x07\x1b[31m"
    job = submit("printf", "\\033]0;owned\\007\\033[31mX\\n")
    brig("wait", job)
    for words, raw in ((["attach"], True), (["replay"], True),
                       (["logs"], False), (["show"], False)):
        t = Terminal("brig", *words, job)
        t.wait_for(rb"X")
        assert t.end() == 0, t.out
        assert (rude in t.out) == raw, (words, t.out)
        assert raw or b"\x1b" not in t.out, (words, t.out)
        # One that has ended is better played.
        assert (b"brig replay" in t.out) == (words == ["attach"]), t.out
    # What the terminal answers is the job's, and not for the shell after it.
    t = Terminal("bash", "--norc", "-i")
    t.command("PS1='@''@ '", rb"@@ ")
    at = len(t.out)
    t.type("brig run -- sh -c 'printf \"\\033[c\"; sleep 0.5'\n")
    t.wait_for(rb"\x1b\[c", at)
    t.type(b"62;1;4c")
    t.wait_for(rb"@@ ", at)
    t.command("echo clean-$((1+1))", rb"clean-2")
    assert b"command not found" not in t.out[at:], t.out[at:]
    t.type("exit\n")
    t.end()


def many_watchers():
    job = submit("bash", "-c", "stty -echo; echo ready; while read l; do "
                 "for i in $(seq 1 2000); do echo line-$l-$i; done; done")
    t = Terminal("brig", "attach", job)
    watchers = [Terminal("brig", "attach", "-r", job) for _ in range(15)]
    for w in [t] + watchers:
        w.wait_for(rb"ready\r\n")
    late = Terminal("brig", "attach", "-r", job)
    assert late.end() == 125, late.out
    assert b"16 are attached" in late.out, late.out
    t.type("a\n")
    t.wait_for(rb"line-a-2000\r\n")
    for w in watchers:
        w.wait_for(rb"line-a-2000\r\n")
        got = [int(n) for n in re.findall(rb"line-a-(\d+)\r\n", w.out)]
        assert got == list(range(1, 2001)), got[:50]
    # One who comes now has all of it, once, and then what follows.
    watchers.pop().type("\x03")
    time.sleep(0.5)
    late = Terminal("brig", "attach", "-r", job)
    t.type("b\n")
    late.wait_for(rb"line-b-2000\r\n")
    for which in (b"a", b"b"):
        got = [int(n) for n in
               re.findall(rb"line-" + which + rb"-(\d+)\r\n", late.out)]
        assert got == list(range(1, 2001)), (which, got[:50])
    t.type("\x04")
    assert t.end() == 0
    assert late.end() == 0


def slow_watcher():
    """One that does not read neither stalls the job nor stays."""
    job = submit("bash", "-c", "sleep 1; head -c 20000000 /dev/zero | "
                 "tr '\\0' x; echo; echo all; sleep 2", tty=False)
    slow = subprocess.Popen(["brig", "attach", job], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    begin = time.monotonic()
    while "all" not in brig("logs", job)[-100:]:
        assert time.monotonic() - begin < LIMIT
        time.sleep(0.3)
    out, err = slow.communicate(timeout=LIMIT)
    assert slow.returncode == 125, slow.returncode
    assert b"faster than you read" in err, err
    assert len(out) < 20000000
    brig("wait", job)


def pipes():
    job = submit("sh", "-c", "echo out; echo err >&2; sleep 1.5; echo end",
                 tty=False)
    done = subprocess.run(["brig", "attach", job], timeout=LIMIT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.returncode == 0, done
    assert done.stdout == b"out\nend\n", done
    assert done.stderr == b"err\n", done


def full_pipe():
    """brig run loses nothing for a reader that takes its time."""
    p = subprocess.Popen(
        ["brig", "run", "--no-tty", "--", "seq", "1", "1000000"],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    time.sleep(2)
    out = p.stdout.read()
    assert p.wait(LIMIT) == 0
    assert out == b"".join(b"%d\n" % i for i in range(1, 1000001))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
