"""Both ends of WebSocket tests.

ws_play.py server CERT KEY: an echo server over TLS; says what it was sent in
the handshake.  ws_play.py client URL: inside a job.
"""

import asyncio
import http
import os
import ssl
import sys

import websockets


async def serve(sock):
    token = sock.request_headers.get("Authorization", "")
    print("handshake %s %s" % (sock.path, token), flush=True)
    if sock.path.startswith("/count"):
        for i in range(int(sock.path.split("/")[2])):
            await sock.send(b"%08d" % i * 1000)
        return
    async for message in sock:
        await sock.send(message)


async def refuse(path, headers):
    if path.startswith("/refused"):
        return http.HTTPStatus.FORBIDDEN, [("X-Why", "because")], b"not here"
    return None


async def server(cert, key):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    async with websockets.serve(serve, "127.0.0.1", 0, ssl=tls, max_size=None,
                                process_request=refuse,
                                subprotocols=["chat"]) as s:
        print("listening %d" % s.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()


async def client(url):
    tls = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    auth = {"Authorization": "Bearer " + os.environ["WS_TOKEN"]}

    async def connect(path, **more):
        return await websockets.connect(url + path, ssl=tls,
                                        extra_headers=auth, max_size=None,
                                        **more)
    sock = await connect("/echo", subprotocols=["chat"])
    assert sock.subprotocol == "chat"
    for message in ("hello", b"\0\xff" * 10, "x" * 70000, b"y" * 3000000):
        await sock.send(message)
        assert await sock.recv() == message
    await sock.ping()
    await sock.close()
    assert sock.close_code == 1000, sock.close_code
    print("echoed")
    sock = await connect("/echo", compression=None)
    await sock.send(["frag", "men", "ted"])
    assert await sock.recv() == "fragmented"
    await sock.close()
    print("fragmented")
    sock = await connect("/count/500")
    await asyncio.sleep(1)
    for i in range(500):
        assert await sock.recv() == b"%08d" % i * 1000
    await sock.close()
    print("counted")
    socks = await asyncio.gather(*[connect("/echo") for i in range(50)])
    for i, sock in enumerate(socks):
        await sock.send(str(i))
    for i, sock in enumerate(socks):
        assert await sock.recv() == str(i)
    await asyncio.gather(*[sock.close() for sock in socks])
    print("fifty")
    try:
        await connect("/refused")
    except websockets.exceptions.InvalidStatusCode as e:
        assert e.status_code == 403
        assert e.headers["X-Why"] == "because"
        print("refused")
    try:
        await connect("/forbidden")
    except websockets.exceptions.InvalidStatusCode as e:
        assert e.status_code == 403
        print("denied")


if sys.argv[1] == "server":
    asyncio.run(server(sys.argv[2], sys.argv[3]))
else:
    asyncio.run(client(sys.argv[2]))
