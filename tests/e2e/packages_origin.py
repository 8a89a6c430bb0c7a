"""A private registry for npm, pip, go and cargo, behind TLS and a token, for a test.

usage: packages_origin.py CERT KEY TOKEN
Prints "listening PORT"; says on stderr what each request brought.
"""
import base64
import hashlib
import http.server
import io
import json
import ssl
import sys
import tarfile
import zipfile

cert, key, token = sys.argv[1:4]


def tarball(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w:gz') as t:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            t.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def archive(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as z:
        for name, text in files.items():
            z.writestr(name, text)
    return out.getvalue()


TGZ = tarball({'package/package.json':
               '{"name":"brigpkg","version":"1.0.0"}'})
WHEEL = archive({
    'brigpkg.py': 'VALUE = 1\n',
    'brigpkg-1.0.0.dist-info/METADATA':
        'Metadata-Version: 2.1\nName: brigpkg\nVersion: 1.0.0\n',
    'brigpkg-1.0.0.dist-info/WHEEL':
        'Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\n'
        'Tag: py3-none-any\n',
    'brigpkg-1.0.0.dist-info/RECORD': ''})
MOD = 'module brig.example/mod\n'
ZIP = archive({'brig.example/mod@v1.0.0/go.mod': MOD,
               'brig.example/mod@v1.0.0/mod.go': 'package mod\n'})
CRATE = tarball({
    'brigpkg-1.0.0/Cargo.toml':
        '[package]\nname = "brigpkg"\nversion = "1.0.0"\n',
    'brigpkg-1.0.0/src/lib.rs': ''})
WHEEL_NAME = 'brigpkg-1.0.0-py3-none-any.whl'
GO = '/go/brig.example/mod/@v/'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def given(self):
        scheme, _, rest = self.headers.get('Authorization', '').partition(' ')
        if scheme.lower() == 'basic':
            rest = base64.b64decode(rest).decode().partition(':')[2]
        return rest or scheme

    def find(self):
        base = 'https://' + self.headers['Host']
        pages = {
            '/brigpkg': ('application/json', json.dumps({
                'name': 'brigpkg', 'dist-tags': {'latest': '1.0.0'},
                'versions': {'1.0.0': {
                    'name': 'brigpkg', 'version': '1.0.0', 'dist': {
                        'tarball': base + '/brigpkg/-/brigpkg-1.0.0.tgz',
                        'shasum': hashlib.sha1(TGZ).hexdigest()}}}})),
            '/brigpkg/-/brigpkg-1.0.0.tgz': ('application/gzip', TGZ),
            '/simple/brigpkg/': ('text/html',
                                 '<a href="/files/%s">%s</a>' %
                                 (WHEEL_NAME, WHEEL_NAME)),
            '/files/' + WHEEL_NAME: ('application/zip', WHEEL),
            '/cargo/config.json': ('application/json', json.dumps({
                'dl': base + '/cargo/dl', 'auth-required': True})),
            '/cargo/br/ig/brigpkg': ('text/plain', json.dumps({
                'name': 'brigpkg', 'vers': '1.0.0', 'deps': [],
                'features': {}, 'yanked': False,
                'cksum': hashlib.sha256(CRATE).hexdigest()})),
            '/cargo/dl/brigpkg/1.0.0/download': ('application/gzip', CRATE),
            GO + 'list': ('text/plain', 'v1.0.0\n'),
            GO + 'v1.0.0.info': ('application/json',
                                 '{"Version":"v1.0.0",'
                                 '"Time":"2020-01-01T00:00:00Z"}'),
            GO + 'v1.0.0.mod': ('text/plain', MOD),
            GO + 'v1.0.0.zip': ('application/zip', ZIP)}
        return pages.get(self.path.partition('?')[0])

    def serve(self):
        self.rfile.read(int(self.headers.get('Content-Length', 0)))
        given = self.given()
        word = 'ok' if given == token else 'wrong' if given else 'none'
        print('token', word, self.path, file=sys.stderr, flush=True)
        page = self.find()
        status, kind, data = 200, 'text/plain', b'no'
        if word != 'ok':
            status = 401
        elif page is None:
            status = 404
        else:
            kind, data = page
            data = data if isinstance(data, bytes) else data.encode()
        self.send_response(status)
        if status == 401:
            self.send_header('WWW-Authenticate', 'Basic realm="packages"')
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)

    do_GET = do_POST = do_HEAD = serve

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(cert, key)
server.socket = context.wrap_socket(server.socket, server_side=True)
print('listening', server.server_address[1], flush=True)
server.serve_forever()
