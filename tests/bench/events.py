"""How long a server-sent event is under way.

    events.py serve CERT KEY PORT     each event holds the time it was written
    events.py read PORT CAFILE        from https://bench.test; prints the
                                      microseconds of each event, one a line
"""
import socket
import ssl
import sys
import threading
import time

EVENTS = 200
HEAD = (b'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'
        b'Transfer-Encoding: chunked\r\n\r\n')


def serve_one(conn):
    with conn:
        got = b''
        while b'\r\n\r\n' not in got:
            more = conn.recv(4096)
            if not more:
                return
            got += more
        conn.sendall(HEAD)
        for _ in range(EVENTS):
            time.sleep(0.005)
            event = b'data: %d\n\n' % time.time_ns()
            conn.sendall(b'%x\r\n%s\r\n' % (len(event), event))
        conn.sendall(b'0\r\n\r\n')


def serve(cert, key, port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(('127.0.0.1', int(port)))
    while True:
        raw, _ = listener.accept()
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            conn = context.wrap_socket(raw, server_side=True)
        except (ssl.SSLError, OSError):
            continue
        threading.Thread(target=serve_one, args=(conn,), daemon=True).start()


def read(port, cafile):
    context = ssl.create_default_context(cafile=cafile)
    raw = socket.create_connection(('bench.test', int(port)))
    conn = context.wrap_socket(raw, server_hostname='bench.test')
    conn.sendall(b'GET /events HTTP/1.1\r\nHost: bench.test:%s\r\n\r\n'
                 % port.encode())
    left = b''
    seen = 0
    while seen < EVENTS:
        more = conn.recv(65536)
        now = time.time_ns()
        if not more:
            sys.exit(f'only {seen} events')
        *lines, left = (left + more).split(b'\n')
        for line in lines:
            if line.startswith(b'data: '):
                print((now - int(line[6:])) / 1000)
                seen += 1


if sys.argv[1] == 'serve':
    serve(*sys.argv[2:])
else:
    read(*sys.argv[2:])
