"""An HTTP/2 origin that refuses a stream, and not only when it may.

rogue_h2.py CERT KEY MODE SEEN: TLS on a port of its own, "listening PORT" on
stdout.  Each request is a line in the file SEEN.  The file MODE says what comes
before RST_STREAM with REFUSED_STREAM: "head" a head, else nothing.
"""

import socket
import ssl
import sys
import threading

DATA, HEADERS, RST_STREAM, SETTINGS, PING = 0, 1, 3, 4, 6
REFUSED_STREAM = 7
END_HEADERS, ACK = 4, 1


def frame(kind, flags, stream, payload=b""):
    return (len(payload).to_bytes(3, "big") + bytes([kind, flags]) +
            stream.to_bytes(4, "big") + payload)


def read(c, n):
    data = b""
    while len(data) < n:
        got = c.recv(n - len(data))
        if not got:
            raise OSError("closed")
        data += got
    return data


def serve(sock, ctx, mode, seen):
    try:
        c = ctx.wrap_socket(sock, server_side=True)
        read(c, 24)
        c.sendall(frame(SETTINGS, 0, 0))
        while True:
            head = read(c, 9)
            kind, flags = head[3], head[4]
            stream = int.from_bytes(head[5:], "big")
            payload = read(c, int.from_bytes(head[:3], "big"))
            if kind == SETTINGS and not flags & ACK:
                c.sendall(frame(SETTINGS, ACK, 0))
            elif kind == PING and not flags & ACK:
                c.sendall(frame(PING, ACK, 0, payload))
            elif kind == HEADERS:
                with open(seen, "a") as f:
                    print("request", file=f)
                with open(mode) as f:
                    answer = b""
                    if f.read().strip() == "head":
                        # :status 200 of HPACK's static table.
                        answer = frame(HEADERS, END_HEADERS, stream, b"\x88")
                c.sendall(answer + frame(RST_STREAM, 0, stream,
                                         REFUSED_STREAM.to_bytes(4, "big")))
    except OSError:
        pass
    finally:
        sock.close()


def main():
    cert, key, mode, seen = sys.argv[1:]
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(cert, key)
    ctx.set_alpn_protocols(["h2"])
    s = socket.create_server(("127.0.0.1", 0), backlog=64)
    print("listening", s.getsockname()[1], flush=True)
    while True:
        conn, _ = s.accept()
        threading.Thread(target=serve, args=(conn, ctx, mode, seen),
                         daemon=True).start()


main()
