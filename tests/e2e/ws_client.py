"""Talks to ws_origin.py: URL TOKEN [plain], prints what it hears."""
import asyncio
import sys

import websockets


async def main():
    token = sys.argv[2]
    how = {"compression": None} if "plain" in sys.argv[3:] else {}
    async with websockets.connect(
            sys.argv[1], max_size=None,
            extra_headers={"Authorization": "Bearer " + token}, **how) as ws:
        print("extensions", ws.response_headers.get(
            "Sec-WebSocket-Extensions", "none"))
        for word in ("hello", '{"auth":"%s"}' % token, "leak", "fragments"):
            for _ in range(3):
                await ws.send(word)
                print(word, "->", await ws.recv())
        await ws.send("ping")
        print("ping ->", await ws.recv())
        await ws.send("binary")
        print("binary ->", await ws.recv())
        await ws.send(token.encode())
        print("bytes ->", await ws.recv())
        await ws.send(iter([token[:7], token[7:20], token[20:]]))
        print("parts ->", await ws.recv())
        await ws.send("z" * 400000 + token)
        heard = await ws.recv()
        print("large", len(heard), heard[400006:])
        await ws.send("big")
        heard = await ws.recv()
        print("big", len(heard), heard[300000:-300000])
        await ws.send("bye")
        try:
            await ws.recv()
        except websockets.ConnectionClosed as e:
            print("closed", e.code, e.reason)

asyncio.run(main())
