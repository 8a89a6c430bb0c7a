"""flood.py GOOD BAD: start /bin/true GOOD times and rm BAD times, 16 at once,
while signals interrupt everything: every one must be judged.  Prints how many
of each ended with which status."""
import collections
import os
import signal
import sys

good, bad = int(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
result = collections.Counter()
running = {}


def reap():
    pid, status = os.waitpid(-1, 0)
    kind = running.pop(pid)
    result[kind, os.waitstatus_to_exitcode(status)] += 1


step = max(1, (good + bad) // max(1, bad))
for i in range(good + bad):
    while len(running) >= 16:
        reap()
    kind = 'bad' if i % step == 0 and bad > 0 else 'good'
    bad -= kind == 'bad'
    pid = os.fork()
    if pid == 0:
        if kind == 'bad':
            os.execv('/bin/rm', ['rm', 'victim'])
        os.execv('/bin/true', ['true'])
    running[pid] = kind
    # Stopped, continued and interrupted at whatever point it has got to.
    for s in (signal.SIGSTOP, signal.SIGCONT, signal.SIGCHLD):
        os.kill(pid, s)
while running:
    for pid in running:
        os.kill(pid, signal.SIGCONT)
    reap()
signal.setitimer(signal.ITIMER_REAL, 0)
for (kind, status), n in sorted(result.items()):
    print(f'{kind} ended with {status}: {n}')
