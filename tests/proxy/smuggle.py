"""Requests that two parsers might read differently, as raw bytes.

    smuggle.py record CERT KEY FILE   TLS origin: prints "listening PORT", and
                                      appends to FILE the bytes of each request
                                      connection, hex, a line each
    smuggle.py list                   names of the cases
    smuggle.py send PORT CAFILE CASE  from inside the jail; prints the statuses
    smuggle.py want PORT CASE         what the origin must have got, hex, or
                                      "nothing"
"""
import re
import socket
import ssl
import sys
import threading

HOST = 'rec.test'
BODY = b'0123456789'

# name: (what is sent, what must arrive).  None: 400 or the like and nothing;
# a list of requests: exactly these bytes, one after the other.  @ is
# HOST:PORT.  Field order stays, Host and framing are written anew.
GET = b'GET /a HTTP/1.1\r\nHost: @\r\n\r\n'


def sent(head, body=b'', framing=b''):
    """As back writes a request: line, Host, fields, framing."""
    line, _, fields = head.partition(b'\r\n')
    return line + b'\r\nHost: @\r\n' + fields + framing + b'\r\n' + body


LENGTH = b'Content-Length: 10\r\n'
CHUNKED = b'Transfer-Encoding: chunked\r\n'


def post(fields, body):
    return b'POST /a HTTP/1.1\r\nHost: @\r\n' + fields + b'\r\n' + body


ONE_CHUNK = b'a\r\n' + BODY + b'\r\n0\r\n\r\n'
CASES = {
    # Controls: these pass, so that a refusal means something.
    'plain get': (GET, [sent(b'GET /a HTTP/1.1\r\n')]),
    'length': (post(LENGTH, BODY),
               [sent(b'POST /a HTTP/1.1\r\n', BODY, LENGTH)]),
    'chunked': (post(CHUNKED, ONE_CHUNK),
                [sent(b'POST /a HTTP/1.1\r\n', ONE_CHUNK, CHUNKED)]),
    'two in one write': (GET + GET.replace(b'/a', b'/b'),
                         [sent(b'GET /a HTTP/1.1\r\n'),
                          sent(b'GET /b HTTP/1.1\r\n')]),
    'chunk extension is dropped': (
        post(CHUNKED, ONE_CHUNK.replace(b'a\r\n', b'a;x=y\r\n')),
        [sent(b'POST /a HTTP/1.1\r\n', ONE_CHUNK, CHUNKED)]),
    'upper case size, leading zeros': (
        post(CHUNKED, b'000A\r\n' + BODY + b'\r\n000\r\n\r\n'),
        [sent(b'POST /a HTTP/1.1\r\n', ONE_CHUNK, CHUNKED)]),
    'absolute form': (
        GET.replace(b'/a', b'https://@/a'), [sent(b'GET /a HTTP/1.1\r\n')]),
    'blanks around a value': (
        GET.replace(b'\r\n\r\n', b'\r\nX:  \t b \t \r\n\r\n'),
        [sent(b'GET /a HTTP/1.1\r\nX: b\r\n')]),
    'hop-by-hop fields stay here': (
        GET.replace(b'\r\n\r\n', b'\r\nConnection: x, keep-alive\r\nX: 1\r\n'
                    b'Keep-Alive: 5\r\nTE: trailers\r\nY: 2\r\n\r\n'),
        [sent(b'GET /a HTTP/1.1\r\nY: 2\r\n')]),
    'transfer-encoding in another case': (
        post(b'tRANSFER-eNCODING: ChunkeD\r\n', ONE_CHUNK),
        [sent(b'POST /a HTTP/1.1\r\n', ONE_CHUNK, CHUNKED)]),
    # Length and coding.
    'length and chunked': (post(LENGTH + CHUNKED, ONE_CHUNK), None),
    'chunked and length': (post(CHUNKED + LENGTH, ONE_CHUNK), None),
    'length and identity': (
        post(LENGTH + b'Transfer-Encoding: identity\r\n', BODY), None),
    'two lengths': (post(LENGTH + b'Content-Length: 11\r\n', BODY), None),
    'the same length twice': (post(LENGTH + LENGTH, BODY), None),
    'a list of lengths': (post(b'Content-Length: 10, 10\r\n', BODY), None),
    'length with a plus': (post(b'Content-Length: +10\r\n', BODY), None),
    'negative length': (post(b'Content-Length: -1\r\n', b''), None),
    'hex length': (post(b'Content-Length: 0xa\r\n', BODY), None),
    'length with a blank inside': (
        post(b'Content-Length: 1 0\r\n', BODY), None),
    'empty length': (post(b'Content-Length:\r\n', BODY), None),
    'length beyond 64 bits': (
        post(b'Content-Length: 18446744073709551626\r\n', BODY), None),
    'length with a vertical tab': (
        post(b'Content-Length: \x0b10\r\n', BODY), None),
    # Codings.
    'chunked twice': (post(CHUNKED + CHUNKED, ONE_CHUNK), None),
    'chunked, chunked': (
        post(b'Transfer-Encoding: chunked, chunked\r\n', ONE_CHUNK), None),
    'gzip, chunked': (
        post(b'Transfer-Encoding: gzip, chunked\r\n', ONE_CHUNK), None),
    'chunked, identity': (
        post(b'Transfer-Encoding: chunked, identity\r\n', ONE_CHUNK), None),
    'xchunked': (post(b'Transfer-Encoding: xchunked\r\n', ONE_CHUNK), None),
    'chunked;q=1': (
        post(b'Transfer-Encoding: chunked;q=1\r\n', ONE_CHUNK), None),
    'quoted chunked': (
        post(b'Transfer-Encoding: "chunked"\r\n', ONE_CHUNK), None),
    'empty coding': (post(b'Transfer-Encoding:\r\n', ONE_CHUNK), None),
    'vertical tab before chunked': (
        post(b'Transfer-Encoding: \x0bchunked\r\n', ONE_CHUNK), None),
    'blank before the colon': (
        post(b'Transfer-Encoding : chunked\r\n', ONE_CHUNK), None),
    'tab before the colon': (
        post(b'Transfer-Encoding\t: chunked\r\n', ONE_CHUNK), None),
    'folded coding': (
        post(b'Transfer-Encoding:\r\n chunked\r\n', ONE_CHUNK), None),
    'underscore in the name is another field': (
        post(LENGTH + b'Transfer_Encoding: chunked\r\n', BODY),
        [sent(b'POST /a HTTP/1.1\r\nTransfer_Encoding: chunked\r\n', BODY,
              LENGTH)]),
    'chunked in 1.0': (
        post(CHUNKED, ONE_CHUNK).replace(b'1.1', b'1.0', 1), None),
    # Chunks.
    'chunk size with a plus': (
        post(CHUNKED, ONE_CHUNK.replace(b'a\r', b'+a\r', 1)), None),
    'chunk size 0x': (
        post(CHUNKED, ONE_CHUNK.replace(b'a\r', b'0xa\r', 1)), None),
    'chunk size with a blank before': (
        post(CHUNKED, b' ' + ONE_CHUNK), None),
    'chunk size beyond 64 bits': (
        post(CHUNKED, b'1000000000000000a\r\n' + BODY + b'\r\n0\r\n\r\n'),
        None),
    'chunk longer than said': (
        post(CHUNKED, b'9\r\n' + BODY + b'\r\n0\r\n\r\n'), None),
    'chunk ends with LF': (
        post(CHUNKED, b'a\r\n' + BODY + b'\n0\r\n\r\n'), None),
    'chunk size ends with LF': (
        post(CHUNKED, b'a\n' + BODY + b'\r\n0\r\n\r\n'), None),
    'bare CR in a chunk extension': (
        post(CHUNKED, ONE_CHUNK.replace(b'a\r\n', b'a;x\ry\r\n', 1)), None),
    'LF in a chunk extension': (
        post(CHUNKED, ONE_CHUNK.replace(b'a\r\n', b'a;x\ny\r\n', 1)), None),
    'trailer with a length': (
        post(CHUNKED, ONE_CHUNK[:-2] + b'Content-Length: 5\r\n\r\n'), None),
    'trailer with a coding': (
        post(CHUNKED, ONE_CHUNK[:-2] + b'Transfer-Encoding: chunked\r\n\r\n'),
        None),
    # Lines.
    'bare LF everywhere': (GET.replace(b'\r\n', b'\n'), None),
    'bare LF after the request line': (
        GET.replace(b'1.1\r\n', b'1.1\n'), None),
    'bare LF after a field': (
        GET.replace(b'\r\n\r\n', b'\r\nX: 1\nY: 2\r\n\r\n'), None),
    'bare CR in a value': (
        GET.replace(b'\r\n\r\n', b'\r\nX: 1\rY: 2\r\n\r\n'), None),
    'NUL in a value': (
        GET.replace(b'\r\n\r\n', b'\r\nX: 1\x002\r\n\r\n'), None),
    'NUL in a name': (
        GET.replace(b'\r\n\r\n', b'\r\nX\x00: 1\r\n\r\n'), None),
    'folded value': (
        GET.replace(b'\r\n\r\n', b'\r\nX: 1\r\n 2\r\n\r\n'), None),
    'field without a name': (
        GET.replace(b'\r\n\r\n', b'\r\n: 1\r\n\r\n'), None),
    'field without a colon': (
        GET.replace(b'\r\n\r\n', b'\r\nX\r\n\r\n'), None),
    'first field is folded': (
        GET.replace(b'Host', b' X: 1\r\nHost'), None),
    # Request line.
    'two blanks': (GET.replace(b'GET ', b'GET  '), None),
    'tab for a blank': (GET.replace(b'GET ', b'GET\t'), None),
    'blank inside the target': (GET.replace(b'/a', b'/a b'), None),
    'no version': (GET.replace(b' HTTP/1.1', b''), None),
    'version 1.2': (GET.replace(b'1.1', b'1.2'), None),
    'version 01.1': (GET.replace(b'1.1', b'01.1'), None),
    'lower case http': (GET.replace(b'HTTP', b'http'), None),
    'control in the target': (GET.replace(b'/a', b'/a\x01'), None),
    'byte above 127 in the target': (GET.replace(b'/a', b'/\xc3\xa4'), None),
    'fragment': (GET.replace(b'/a', b'/a#b'), None),
    'method with a slash': (GET.replace(b'GET', b'G/ET'), None),
    # Host.
    'no host': (GET.replace(b'Host: @\r\n', b''), None),
    'two hosts': (GET.replace(b'Host: @', b'Host: @\r\nHost: @'), None),
    'host of another': (GET.replace(b'Host: @', b'Host: evil.test'), None),
    'host with a blank': (GET.replace(b'Host: @', b'Host: @ x'), None),
    'host with a comma': (GET.replace(b'Host: @', b'Host: @,@'), None),
    'host with userinfo': (GET.replace(b'Host: @', b'Host: x@@'), None),
    'host with a path': (GET.replace(b'Host: @', b'Host: @/x'), None),
    'empty host': (GET.replace(b'Host: @', b'Host:'), None),
    'absolute form of another host': (
        GET.replace(b'/a', b'https://evil.test/a'), None),
    'absolute form over http': (GET.replace(b'/a', b'http://@/a'), None),
    'absolute form with userinfo': (
        GET.replace(b'/a', b'https://x@@/a'), None),
    'authority form': (GET.replace(b'/a', b'@'), None),
    # The classic: what follows would be the next request.
    'a request hidden behind length 0': (
        post(b'Content-Length: 0\r\n' + CHUNKED,
             b'0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: @\r\n\r\n'), None),
    'a request hidden in a chunked body': (
        post(b'Content-Length: 46\r\n' + CHUNKED,
             b'0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: @\r\n\r\n'), None),
    'a request as a body': (
        post(b'Content-Length: 10\r\n', b'GET /x HTT'),
        [sent(b'POST /a HTTP/1.1\r\n', b'GET /x HTT', LENGTH)]),
}


def place(data, port):
    # x@@ is userinfo before the place.
    return data.replace(b'x@@', b'x\0@').replace(
        b'@', f'{HOST}:{port}'.encode()).replace(
            b'x\0', b'x@')


def wanted(name, port):
    want = CASES[name][1]
    if want is None:
        return b''
    return b''.join(place(w, port) for w in want)


def complete(got):
    """Length of the first request in got, as back writes them; 0: not yet."""
    head, blank, body = got.partition(b'\r\n\r\n')
    if not blank:
        return 0
    fields = head.lower()
    if CHUNKED.strip().lower() in fields:
        end = body.find(b'0\r\n\r\n')
        return 0 if end < 0 else len(head) + 4 + end + 5
    length = re.search(rb'\r\ncontent-length: (\d+)', fields)
    n = int(length[1]) if length else 0
    return len(head) + 4 + n if len(body) >= n else 0


def one(conn, path, lock):
    """Answer every request with a small body, whatever it is."""
    got = b''
    at = 0
    try:
        while True:
            more = conn.recv(65536)
            if not more:
                break
            got += more
            while (n := complete(got[at:])) > 0:
                at += n
                conn.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    except (OSError, ssl.SSLError):
        pass
    with lock, open(path, 'a') as f:
        f.write(got.hex() + '\n')
    conn.close()


def record(cert, key, path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    listener = socket.create_server(('127.0.0.1', 0))
    print('listening', listener.getsockname()[1], flush=True)
    lock = threading.Lock()
    while True:
        raw, _ = listener.accept()
        try:
            conn = context.wrap_socket(raw, server_side=True)
        except (ssl.SSLError, OSError):
            continue
        threading.Thread(target=one, args=(conn, path, lock),
                         daemon=True).start()


def send(port, cafile, name):
    context = ssl.create_default_context(cafile=cafile)
    raw = socket.create_connection((HOST, int(port)))
    conn = context.wrap_socket(raw, server_hostname=HOST)
    conn.sendall(place(CASES[name][0], port))
    want = CASES[name][1]
    conn.settimeout(5)
    got = b''
    try:
        while got.count(b'HTTP/1.1 ') < (len(want) if want else 1) or (
                want is None):
            more = conn.recv(65536)
            if not more:
                break
            got += more
            # One refusal is all there should be; a second answer would come
            # at once.
            if want is None:
                conn.settimeout(0.3)
    except (OSError, ssl.SSLError):
        pass
    print(*re.findall(r'HTTP/1.1 (\d+)', got.decode('latin-1')))


if sys.argv[1] == 'record':
    record(*sys.argv[2:])
elif sys.argv[1] == 'list':
    print(*CASES, sep='\n')
elif sys.argv[1] == 'send':
    send(*sys.argv[2:])
else:
    print(wanted(sys.argv[3], sys.argv[2]).hex() or 'nothing')
