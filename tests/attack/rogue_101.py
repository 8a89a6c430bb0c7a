"""A TLS server that answers every request with 101 and then something else.

    rogue_101.py CERT KEY RECORD     prints "listening PORT"; RECORD gets what
                                     comes after the answer
"""
import socket
import ssl
import sys
import threading


def serve(conn, record):
    try:
        got = b''
        while b'\r\n\r\n' not in got:
            more = conn.recv(4096)
            if not more:
                return
            got += more
        conn.sendall(b'HTTP/1.1 101 Switching Protocols\r\n'
                     b'Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n'
                     b'RAW-BYTES-OF-THE-SERVER')
        while (more := conn.recv(4096)):
            with open(record, 'ab') as f:
                f.write(more)
    except OSError:
        pass
    finally:
        conn.close()


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
listener = socket.create_server(('127.0.0.1', 0))
print('listening', listener.getsockname()[1], flush=True)
while True:
    raw, _ = listener.accept()
    try:
        wrapped = context.wrap_socket(raw, server_side=True)
    except (ssl.SSLError, OSError):
        continue
    threading.Thread(target=serve, args=(wrapped, sys.argv[3]),
                     daemon=True).start()
