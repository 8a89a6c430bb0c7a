"""A private registry of packages, as npm, pip, cargo and go ask for them.

    packages_origin.py CERT KEY URL RECORD NPM PIP CARGO GO MIRROR
        asks for the token of each client; a package called `moved` lies at
        the URL MIRROR, to which its download is redirected
    packages_origin.py CERT KEY URL RECORD
        a mirror: any credential will do, and none for a signed path

URL is "https://NAME"; the port is added.  Prints "listening PORT".  RECORD gets
a line for each request: method, path, what the credential was (real, none,
other), then the values of all fields.
"""
import base64
import gzip
import hashlib
import http.server
import io
import json
import ssl
import struct
import sys
import tarfile
import urllib.parse
import zipfile

CERT, KEY, URL, RECORD = sys.argv[1:5]
TOKENS = dict(zip(('npm', 'pip', 'cargo', 'go'), sys.argv[5:9]))
MIRROR = sys.argv[9] if len(sys.argv) > 9 else None
SIGNED = '?signature=0123456789abcdef'
NAMES = ('widget', 'moved')


def tar(files):
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode='wb', mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode='w') as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def npm_tarball(name):
    return tar({'package/package.json': json.dumps(
                    {'name': '@corp/' + name, 'version': '1.0.0'}),
                'package/index.js': f'module.exports = "{name} 1.0.0"\n'})


def wheel(name):
    info = f'{name}-1.0.dist-info/'
    files = {f'{name}.py': f'what = "{name} 1.0"\n',
             info + 'METADATA': 'Metadata-Version: 2.1\n'
                                f'Name: {name}\nVersion: 1.0\n',
             info + 'WHEEL': 'Wheel-Version: 1.0\nGenerator: registry\n'
                             'Root-Is-Purelib: true\nTag: py3-none-any\n'}
    record = ''.join(f'{path},,\n' for path in files)
    return zipped({**files, info + 'RECORD': record + info + 'RECORD,,\n'})


def crate(name):
    top = f'{name}-1.0.0/'
    return tar({top + 'Cargo.toml': f'[package]\nname = "{name}"\n'
                                    'version = "1.0.0"\nedition = "2021"\n',
                top + 'src/lib.rs':
                    f'pub const WHAT: &str = "{name} 1.0.0";\n'})


def module(name):
    top = f'corp.test/{name}@v1.0.0/'
    return zipped({top + 'go.mod': f'module corp.test/{name}\n',
                   top + 'what.go': f'package {name}\n\n'
                                    f'const What = "{name} 1.0.0"\n'})


FILES = {}
for _name in NAMES:
    FILES[f'/npm/@corp/{_name}/-/{_name}-1.0.0.tgz'] = npm_tarball(_name)
    FILES[f'/pip/files/{_name}-1.0-py3-none-any.whl'] = wheel(_name)
    FILES[f'/cargo/dl/{_name}/1.0.0/download'] = crate(_name)
    FILES[f'/go/corp.test/{_name}/@v/v1.0.0.zip'] = module(_name)


def crate_entry(name, version, data):
    return {'name': name, 'vers': version, 'deps': [], 'features': {},
            'cksum': hashlib.sha256(data).hexdigest(), 'yanked': False}


CRATES = {name: crate_entry(name, '1.0.0',
                            FILES[f'/cargo/dl/{name}/1.0.0/download'])
          for name in NAMES}


def packument(name):
    path = f'/npm/@corp/{name}/-/{name}-1.0.0.tgz'
    data = FILES[path]
    digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
    return {'name': '@corp/' + name, 'dist-tags': {'latest': '1.0.0'},
            'versions': {'1.0.0': {
                'name': '@corp/' + name, 'version': '1.0.0',
                'dist': {'tarball': URL + path,
                         'integrity': 'sha512-' + digest,
                         'shasum': hashlib.sha1(data).hexdigest()}}}}


class Registry(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *args):
        pass

    def answer(self, status, data, kind='application/json', **fields):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        self.send_response(status)
        if kind != 'application/octet-stream' and 'gzip' in self.headers.get(
                'Accept-Encoding', ''):
            data = gzip.compress(data)
            self.send_header('Content-Encoding', 'gzip')
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        for name, value in fields.items():
            self.send_header(name.replace('_', '-'), value)
        self.end_headers()
        self.wfile.write(data)

    def body(self):
        if self.headers.get('Transfer-Encoding') == 'chunked':
            got = b''
            while (n := int(self.rfile.readline(), 16)) > 0:
                got += self.rfile.read(n)
                self.rfile.readline()
            self.rfile.readline()
            return got
        return self.rfile.read(int(self.headers.get('Content-Length', 0)))

    def credential(self, client):
        """Real, none or other: as the client is documented to send it."""
        sent = self.headers.get_all('Authorization', [])
        if not sent:
            return 'none'
        token = TOKENS.get(client)
        if token is None:
            return 'other'

        def basic(user):
            pair = f'{user}:{token}'.encode()
            return 'Basic ' + base64.b64encode(pair).decode()
        good = {'npm': ('Bearer ' + token, basic('robot')),
                'pip': (basic('__token__'),), 'cargo': (token,),
                'go': (basic('robot'),)}
        return 'real' if len(sent) == 1 and sent[0] in good[client] else 'other'

    def handle_one(self):
        got = self.body()
        path = urllib.parse.unquote(self.path.split('?')[0])
        client = path.split('/')[1]
        credential = self.credential(client)
        with open(RECORD, 'a', encoding='latin-1') as record:
            print(self.command, self.path, credential,
                  *self.headers.values(), file=record)
        if not TOKENS and self.path.endswith(SIGNED):
            self.send_file(path)
        elif credential == 'none' or (TOKENS and credential != 'real'):
            self.answer(401, {'error': 'who are you'},
                        WWW_Authenticate='Basic realm="registry"')
        elif self.command == 'PUT':
            self.put(client, path, got)
        else:
            getattr(self, 'get_' + client)(path)

    do_GET = do_PUT = do_POST = handle_one

    def missing(self):
        self.answer(404, {'error': 'no such thing'})

    def send_file(self, path):
        if path not in FILES:
            self.missing()
        elif 'moved' in path and MIRROR:
            self.answer(302, b'', Location=MIRROR + path + SIGNED)
        else:
            self.answer(200, FILES[path], 'application/octet-stream')

    def get_npm(self, path):
        name = path.removeprefix('/npm/@corp/')
        if path == '/npm/-/whoami':
            self.answer(200, {'username': 'robot'})
        elif name in NAMES:
            self.answer(200, packument(name))
        else:
            self.send_file(path)

    def get_pip(self, path):
        name = path.removeprefix('/pip/simple/').rstrip('/')
        if name not in NAMES:
            self.send_file(path)
            return
        file = f'{name}-1.0-py3-none-any.whl'
        digest = hashlib.sha256(FILES['/pip/files/' + file]).hexdigest()
        self.answer(200, f'<!DOCTYPE html><title>{name}</title><a href='
                    f'"../../files/{file}#sha256={digest}">{file}</a>'
                    .encode(), 'text/html')

    def get_cargo(self, path):
        name = path.split('/')[-1]
        if path == '/cargo/index/config.json':
            self.answer(200, {'dl': URL + '/cargo/dl', 'api': URL + '/cargo',
                              'auth-required': True})
        elif path.startswith('/cargo/index/') and name in CRATES:
            self.answer(200, json.dumps(CRATES[name]).encode(), 'text/plain',
                        ETag='"' + name + '"')
        else:
            self.send_file(path)

    def get_go(self, path):
        name, _, what = path.removeprefix('/go/corp.test/').partition('/@v/')
        if name not in NAMES:
            self.missing()
        elif what == 'list':
            self.answer(200, b'v1.0.0\n', 'text/plain')
        elif what == 'v1.0.0.info':
            self.answer(200, {'Version': 'v1.0.0',
                              'Time': '2024-01-01T00:00:00Z'})
        elif what == 'v1.0.0.mod':
            self.answer(200, f'module corp.test/{name}\n'.encode(),
                        'text/plain')
        else:
            self.send_file(path)

    def put(self, client, path, got):
        if client == 'npm':
            name = json.loads(got)['name']
            self.answer(201 if path == '/npm/' + name else 400, {'ok': True})
        elif path == '/cargo/api/v1/crates/new':
            n = struct.unpack('<I', got[:4])[0]
            meta = json.loads(got[4:4 + n])
            data = got[8 + n:]
            CRATES[meta['name']] = crate_entry(meta['name'], meta['vers'], data)
            self.answer(200, {'warnings': {'invalid_categories': [],
                                           'invalid_badges': [], 'other': []}})
        else:
            self.missing()


server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Registry)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(CERT, KEY)
server.socket = context.wrap_socket(server.socket, server_side=True)
URL += f':{server.server_address[1]}'
print('listening', server.server_address[1], flush=True)
server.serve_forever()
