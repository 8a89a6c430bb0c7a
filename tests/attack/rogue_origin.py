"""An origin that does its worst with the credential it was sent.

rogue_origin.py CERT KEY: TLS on a port of its own, "listening PORT" on stdout.
The path names the misdeed; the value of Authorization is what it leaks.
"""

import base64
import gzip
import os
import socket
import ssl
import sys
import threading
import time


def chunk(data, ext=b""):
    return b"%x" % len(data) + ext + b"\r\n" + data + b"\r\n"


def plain(head, body):
    return b"HTTP/1.1 200 OK\r\n" + head + (
        b"Content-Length: %d\r\n\r\n" % len(body)) + body


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def answers(path, v, body, send):
    """Write the answer to path; False when the connection must end."""
    b64 = base64.b64encode(b"xx" + v + b"yy").replace(b"=", b"")
    zipped = gzip.compress(v * 4)
    whole = {
        "/hints": b"HTTP/1.1 103 Early Hints\r\nLink: <" + v + b">\r\n\r\n" +
        plain(b"", b"hints"),
        "/reason": b"HTTP/1.1 200 " + v + b"\r\nContent-Length: 2\r\n\r\nok",
        "/name": plain(v + b": 1\r\nX-" + v + b": 2\r\n", b"name"),
        "/name64": plain(b64 + b": 1\r\n", b"name64"),
        "/value": plain(b"Location: /?k=" + v + b"\r\nSet-Cookie: s=" + v +
                        b"; Path=/\r\nWWW-Authenticate: Basic realm=\"" + v +
                        b"\"\r\n", b"value"),
        "/folded": plain(b"X-A: " + v[:20] + b"\r\n " + v[20:] + b"\r\n",
                         b"folded"),
        "/barelf": plain(b"X-A: 1\nX-B: " + v + b"\r\n", b"barelf"),
        "/barecr": plain(b"X-A: 1\rX-B: " + v + b"\r\n", b"barecr"),
        "/trailer": CHUNKED + chunk(b"body") + b"0\r\nX-T: " + v +
        b"\r\nX-" + v + b": 1\r\n\r\n",
        "/chunkext": CHUNKED + chunk(b"body", b";k=" + v) + b"0\r\n\r\n",
        "/gzip": plain(b"Content-Encoding: gzip\r\n", zipped),
        "/identity-gzip": plain(b"Content-Encoding: identity, gzip\r\n",
                                zipped),
        "/two-encodings": plain(b"Content-Encoding: identity\r\n"
                                b"Content-Encoding: gzip\r\n", zipped),
        "/te-gzip": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n"
        b"\r\n" + chunk(zipped) + b"0\r\n\r\n",
        "/grpc": plain(b"grpc-encoding: gzip\r\n", b"\1" + zipped),
        "/connect": plain(b"Connect-Content-Encoding: gzip\r\n",
                          b"\1" + len(zipped).to_bytes(4, "big") + zipped),
        "/utf32": plain(b"Content-Type: text/plain; charset=\"UTF-32BE\"\r\n",
                        v.decode("latin1").encode("utf-32-be")),
        "/ebcdic": plain(b"Content-Type: text/plain;charset=IBM037\r\n",
                         v.decode("latin1").encode("cp037")),
        "/utf7": plain(b"Content-Type: text/plain; charset=utf-7\r\n",
                       b"+" + base64.b64encode(
                           v.decode("latin1").encode("utf-16-be")).rstrip(
                               b"=") + b"-"),
        "/repeat": CHUNKED + chunk(body or b"?") + b"0\r\n\r\n",
        "/ranges": b"HTTP/1.1 206 Partial\r\nContent-Type: "
        b"multipart/byteranges; boundary=B\r\nContent-Length: 40\r\n\r\n" +
        v[:20] + b"--------------------",
        "/both-lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n" + chunk(v) + b"0\r\n\r\n",
        "/304": b"HTTP/1.1 304 Not Modified\r\nETag: \"" + v + b"\"\r\n\r\n",
        "/101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n" + v,
        "/extra": plain(b"", b"extra") + plain(b"X-Poison: 1\r\n", v),
        "/http2": b"HTTP/2 200\r\n\r\n" + v,
        "/status0": b"HTTP/1.1 000 x\r\n\r\n" + v,
        "/status999": b"HTTP/1.1 999 x\r\nContent-Length: 2\r\n\r\nok",
        "/nothttp": v + b"\r\n\r\n",
        "/nul": plain(b"X-A: \0" + v + b"\r\n", b"nul"),
        "/hop": plain(b"Connection: close, X-A\r\nX-A: " + v +
                      b"\r\nHost: x\r\nTrailer: y\r\n", b"hop"),
        "/garbage": os.urandom(4096),
        "/toolong": plain(b"X-A: " + b"a" * 70000 + v + b"\r\n", b"x"),
        "/many": plain(b"".join(b"X-%d: %s\r\n" % (i, v)
                                for i in range(1000)), b"x"),
        "/interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
    }
    if path in whole:
        send(whole[path])
        return path not in ("/nothttp", "/garbage", "/101")
    if path == "/split":
        send(CHUNKED + b"".join(chunk(v[i:i + 1]) for i in range(len(v))) +
             b"0\r\n\r\n")
    elif path == "/drip":
        send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
        for c in b"data: " + v + b"\n\n":
            send(bytes([c]))
            time.sleep(0.01)
        return False
    elif path == "/repeat-slowly":
        send(CHUNKED + chunk(body))
        time.sleep(0.1)
        send(chunk(b"!") + b"0\r\n\r\n")
    elif path == "/endless-head":
        send(b"HTTP/1.1 200 OK\r\n")
        for i in range(100000):
            send(b"X-%d: %s\r\n" % (i, v))
        return False
    elif path == "/endless-chunk":
        send(CHUNKED + b"0" * 100000 + v)
        return False
    else:
        send(plain(b"", b"hello " + path.encode()))
    return True


def serve(sock, ctx):
    try:
        c = ctx.wrap_socket(sock, server_side=True)
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                got = c.recv(65536)
                if not got:
                    return
                data += got
            head, data = data.split(b"\r\n\r\n", 1)
            lines = head.split(b"\r\n")
            path = lines[0].split(b" ")[1].decode()
            value, length, early = b"none-was-sent", 0, path == "/early"
            for f in lines[1:]:
                name, _, rest = f.partition(b": ")
                if name.lower() == b"authorization":
                    value = rest.split(b" ")[-1]
                if name.lower() == b"content-length":
                    length = int(rest)
            if early:
                c.sendall(plain(b"X-Early: 1\r\n", value))
            while len(data) < length:
                got = c.recv(65536)
                if not got:
                    return
                data += got
            body, data = data[:length], data[length:]
            if not early and not answers(path.split("?")[0], value, body,
                                         c.sendall):
                return
    except OSError:
        pass
    finally:
        sock.close()


def main():
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(sys.argv[1], sys.argv[2])
    s = socket.create_server(("127.0.0.1", 0), backlog=64)
    print("listening", s.getsockname()[1], flush=True)
    while True:
        conn, _ = s.accept()
        threading.Thread(target=serve, args=(conn, ctx), daemon=True).start()


main()
