"""A WebSocket server that knows how to leak.  CERT KEY RECORD; port on stdout."""
import asyncio
import ssl
import sys

import websockets

record = open(sys.argv[3], "a", encoding="utf-8")


async def serve(ws):
    token = ws.request_headers.get("Authorization", "").split(" ")[-1]
    extensions = ws.request_headers.get("Sec-WebSocket-Extensions", "none")
    record.write("open %s %s\n" % (token, extensions))
    async for message in ws:
        if isinstance(message, bytes):
            message = message.decode()
            record.write("binary %s\n" % message)
        else:
            record.write("text %s\n" % message)
        record.flush()
        if message == "leak":
            await ws.send('{"token":"%s"}' % token)
        elif message == "fragments":
            await ws.send(c for c in ["<"] + list(token) + [">"])
        elif message == "binary":
            await ws.send(b"\x00" + token.encode() + b"\xff")
        elif message == "ping":
            await ws.ping(token[:100])
            await ws.send("pinged")
        elif message == "big":
            await ws.send("x" * 300000 + token + "y" * 300000)
        elif message == "bye":
            await ws.close(4000, token)
        else:
            await ws.send("heard " + message)


async def main():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(sys.argv[1], sys.argv[2])
    async with websockets.serve(serve, "127.0.0.1", 0, ssl=tls,
                                max_size=None) as server:
        print("listening", server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()

asyncio.run(main())
