"""Run inside a job: connections that do nothing, and some that do it slowly.

idle.py PLAIN-PORT TLS-PORT COUNT: opens COUNT connections, every fifth with
TLS, has each answered once, and keeps them until /workspace/leave is there.
"""

import os
import resource
import socket
import ssl
import sys
import time

PLAIN, TLS, COUNT = (int(a) for a in sys.argv[1:4])
EACH = 500
LORIS = 100
DENIED = b"DELETE /idle HTTP/1.1\r\nHost: %s:%d\r\n\r\n"
CA = ssl._create_unverified_context()


def one(tls):
    name, port = ("good.test", TLS) if tls else ("plain.test", PLAIN)
    s = socket.create_connection((name, port), 60)
    if tls:
        s = CA.wrap_socket(s, server_hostname=name)
    s.sendall(DENIED % (name.encode(), port))
    if not s.recv(4096).startswith(b"HTTP/1.1 403"):
        raise OSError("no answer")
    return s


def idle(n):
    held = [one(i % 5 == 0) for i in range(n)]
    with open("/workspace/held", "a") as f:
        f.write("%d\n" % len(held))
    while not os.path.exists("/workspace/leave"):
        time.sleep(0.2)


def loris():
    held = [socket.create_connection(("plain.test", PLAIN), 60)
            for i in range(LORIS)]
    text = DENIED % (b"plain.test", PLAIN) + b"x" * 1000
    cut = 0
    with open("/workspace/held", "a") as f:
        f.write("0\n")
    for i in range(1000):
        if os.path.exists("/workspace/leave"):
            break
        for s in list(held):
            try:
                s.sendall(text[i % 20:i % 20 + 1])
            except OSError:
                cut += 1
                held.remove(s)
        time.sleep(0.5)
    with open("/workspace/loris", "w") as f:
        f.write("cut %d\n" % cut)


resource.setrlimit(resource.RLIMIT_NOFILE,
                   (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
pids = []
for i in range(COUNT // EACH):
    pid = os.fork()
    if pid == 0:
        idle(EACH)
        os._exit(0)
    pids.append(pid)
pid = os.fork()
if pid == 0:
    loris()
    os._exit(0)
pids.append(pid)
bad = sum(os.waitpid(p, 0)[1] != 0 for p in pids)
print("failed %d" % bad)
