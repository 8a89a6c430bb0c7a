"""An origin that checks AWS signatures (version 4) and webhook signatures.

usage: sign_origin.py CERT KEY KEYID SECRET
Prints "listening PORT"; says on stderr of each request whether its signature
was right.  It makes the signature from what it got and from nothing else.
"""
import hashlib
import hmac
import http.server
import ssl
import sys
import urllib.parse

cert, key, key_id, secret = sys.argv[1:5]


def sha(data):
    return hashlib.sha256(data).hexdigest()


def mac(k, text):
    return hmac.new(k, text.encode(), hashlib.sha256).digest()


def quote(text, safe=''):
    return urllib.parse.quote(text, safe=safe + '-_.~')


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def body(self):
        if 'chunked' in self.headers.get('Transfer-Encoding', ''):
            data = b''
            while True:
                size = int(self.rfile.readline().split(b';')[0], 16)
                data += self.rfile.read(size)
                self.rfile.readline()
                if size == 0:
                    return data
        return self.rfile.read(int(self.headers.get('Content-Length', 0)))

    def signing_key(self, scope):
        k = ('AWS4' + secret).encode()
        for part in scope:
            k = mac(k, part)
        return k

    def sign(self, scope, date, names, query, payload):
        path = urllib.parse.unquote(self.path.partition('?')[0])
        fields = ''.join('%s:%s\n' % (n, ' '.join(
            ','.join(self.headers.get_all(n)).split())) for n in names)
        pairs = '&'.join(sorted('%s=%s' % (quote(a), quote(b))
                                for a, b in query))
        safe = '/'
        if scope[2] != 's3':
            path = self.path.partition('?')[0]
        text = '\n'.join([self.command, quote(path, safe), pairs, fields,
                          ';'.join(names), payload])
        text = '\n'.join(['AWS4-HMAC-SHA256', date, '/'.join(scope),
                          sha(text.encode())])
        return mac(self.signing_key(scope), text).hex()

    def is_right(self, data):
        query = urllib.parse.parse_qsl(self.path.partition('?')[2], True)
        auth = self.headers.get('Authorization', '')
        said = dict(query)
        if 'X-Amz-Signature' in said:
            got = said['X-Amz-Signature']
            who = said['X-Amz-Credential'].split('/')
            query = [p for p in query if p[0] != 'X-Amz-Signature']
            date = said['X-Amz-Date']
            names = said['X-Amz-SignedHeaders'].split(';')
            payload = 'UNSIGNED-PAYLOAD'
        elif auth.startswith('AWS4-HMAC-SHA256 '):
            parts = dict(p.strip().split('=', 1)
                         for p in auth.split(' ', 1)[1].split(','))
            got = parts['Signature']
            who = parts['Credential'].split('/')
            date = self.headers['X-Amz-Date']
            names = parts['SignedHeaders'].split(';')
            payload = self.headers.get('X-Amz-Content-Sha256', sha(data))
            if len(payload) == 64 and payload != sha(data):
                return 'body wrong'
        elif 'X-Hub-Signature-256' in self.headers:
            want = hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
            return ('ok' if self.headers['X-Hub-Signature-256'] ==
                    'sha256=' + want else 'wrong')
        else:
            return 'none'
        if who[0] != key_id or 'host' not in names:
            return 'wrong key'
        want = self.sign(who[1:], date, names, query, payload)
        return 'ok' if want == got else 'wrong'

    def serve(self):
        data = self.body()
        result = self.is_right(data)
        print('signature', result, self.command, len(data), self.path,
              file=sys.stderr, flush=True)
        answer = (result + '\n').encode()
        self.send_response(200 if result == 'ok' else 403)
        self.send_header('Content-Length', str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = do_DELETE = serve

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print('listening', server.server_address[1], flush=True)
server.serve_forever()
