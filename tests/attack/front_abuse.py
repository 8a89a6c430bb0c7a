"""Run inside a job: bytes that no client sends, and more of them than any.

front_abuse.py GOOD-PORT PLAIN-PORT; prints one word for each part.
"""

import os
import socket
import ssl
import sys
import threading
import time

GOOD, PLAIN = int(sys.argv[1]), int(sys.argv[2])
TOKEN = os.environ["GOOD_TOKEN"]
CA = ssl._create_unverified_context()
HOST = b"Host: plain.test:%d\r\n" % PLAIN


def plain(timeout=5):
    return socket.create_connection(("plain.test", PLAIN), timeout)


def tls(timeout=10):
    s = socket.create_connection(("good.test", GOOD), timeout)
    return CA.wrap_socket(s, server_hostname="good.test")


def talk(make, data):
    """What comes back for data, at most 64 KB."""
    got = b""
    try:
        s = make()
        s.sendall(data)
        while len(got) < 65536:
            more = s.recv(65536)
            if not more:
                break
            got += more
    except OSError:
        pass
    return got


def bytes_of_every_kind():
    for seed in range(60):
        noise = os.urandom(200)
        for data in (noise, b"GET /" + noise, b"GET / HTTP/1.1\r\n" + noise,
                     b"\x16\x03\x01" + noise,
                     b"GET /n HTTP/1.1\r\n" + HOST +
                     b"Transfer-Encoding: chunked\r\n\r\n" + noise):
            try:
                s = plain(1)
                s.sendall(data)
                s.close()
            except OSError:
                pass


def long_things():
    talk(plain, b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n" + HOST + b"\r\n")
    talk(plain, b"GET / HTTP/1.1\r\n" + HOST + b"X: y\r\n" * 100000)
    talk(plain, b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200000)
    talk(plain, b"POST / HTTP/1.1\r\n" + HOST +
         b"Transfer-Encoding: chunked\r\n\r\n" + b"0" * 200000)
    for path in (16000, 16200, 16300, 16370):
        s = b"GET /%s HTTP/1.1\r\nHost: good.test:%d\r\n" % (b"p" * path, GOOD)
        talk(tls, s + b"Authorization: Bearer " + TOKEN.encode() +
             b"\r\nConnection: close\r\n\r\n")
    fields = b"".join(b"X-%d: %s\r\n" % (i, b"v" * 200) for i in range(120))
    talk(tls, b"GET /f HTTP/1.1\r\nHost: good.test:%d\r\n" % GOOD + fields +
         b"Connection: close\r\n\r\n")


def pipelined():
    one = b"GET /pipe-%d HTTP/1.1\r\n" + HOST + b"\r\n"
    last = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    got = talk(plain, b"".join(one % i for i in range(49)) + last % 49)
    print("pipelined", got.count(b"HTTP/1.1 200"))


def many_connections():
    held = []
    try:
        for _ in range(700):
            held.append(plain(2))
    except OSError:
        pass
    for s in held[::3]:
        try:
            s.sendall(b"GET / HT")
        except OSError:
            pass
    time.sleep(0.5)
    for s in held:
        s.close()
    print("connections", len(held))


def many_names():
    for i in range(3000):
        try:
            socket.getaddrinfo("n%d.evil.test" % i, 443)
        except OSError:
            pass


def many_uploads():
    def up():
        try:
            s = tls()
            s.sendall(b"POST /upload HTTP/1.1\r\nHost: good.test:%d\r\n"
                      b"Authorization: Bearer %s\r\n"
                      b"Content-Length: 99999999999\r\n\r\n" %
                      (GOOD, TOKEN.encode()))
            for _ in range(40):
                s.sendall(b"z" * 65536)
            s.close()
        except OSError:
            pass
    ts = [threading.Thread(target=up) for _ in range(40)]
    for t in ts:
        t.start()
    for t in ts:
        t.join()


for part in (bytes_of_every_kind, long_things, pipelined, many_connections,
             many_names, many_uploads):
    part()
    print("done", part.__name__, flush=True)
