"""terminal.py COMMAND...: a person's terminal in which COMMAND runs, and then
what the shell of that person would read: a line that says typed:[TEXT]."""
import os
import pty
import select
import sys
import termios
import time

pid, fd = pty.fork()
if pid == 0:
    child = os.fork()
    if child == 0:
        os.execvp(sys.argv[1], sys.argv[1:])
    os.waitpid(child, 0)
    # Canonical again, whatever the command left; and typed text counts only
    # by the line, so end it.
    attr = termios.tcgetattr(0)
    attr[3] |= termios.ICANON
    termios.tcsetattr(0, termios.TCSANOW, attr)
    print('ready', flush=True)
    line = sys.stdin.readline().strip()
    print(f'typed:[{line}]', flush=True)
    sys.exit(0)

out = b''
ended = False
deadline = time.time() + 45
while time.time() < deadline:
    if not select.select([fd], [], [], 0.5)[0]:
        continue
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    out += data
    if b'ready' in out and not ended:
        os.write(fd, b'\n')
        ended = True
sys.stdout.write(out.decode(errors='replace'))
