"""gRPC without generated code: a server, or a client that plays every kind of
call.  grpc_play.py server CERT KEY | client HOST:PORT"""

import json
import os
import sys
import time
from concurrent import futures

import grpc

RAW = {"request_deserializer": None, "response_serializer": None}


def unary(request, context):
    meta = dict(context.invocation_metadata())
    print("auth", meta.get("authorization", "-"), file=sys.stderr, flush=True)
    context.set_trailing_metadata((("x-sum", str(len(request))),))
    return request[::-1]


def down(request, context):
    for i in range(int(request)):
        yield b"%d" % i


def up(requests, context):
    return b"%d" % sum(len(r) for r in requests)


def both(requests, context):
    for r in requests:
        yield b"got " + r


def refuse(request, context):
    context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not so: %")


def serve(cert, key):
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
        "t.T", {
            "Unary": grpc.unary_unary_rpc_method_handler(unary),
            "Down": grpc.unary_stream_rpc_method_handler(down),
            "Up": grpc.stream_unary_rpc_method_handler(up),
            "Both": grpc.stream_stream_rpc_method_handler(both),
            "Refuse": grpc.unary_unary_rpc_method_handler(refuse),
        }),))
    with open(cert, "rb") as c, open(key, "rb") as k:
        creds = grpc.ssl_server_credentials(((k.read(), c.read()),))
    print("listening", server.add_secure_port("127.0.0.1:0", creds),
          flush=True)
    server.start()
    server.wait_for_termination()


def play(target):
    with open(os.environ["SSL_CERT_FILE"], "rb") as f:
        creds = grpc.ssl_channel_credentials(f.read())
    with grpc.secure_channel(target, creds) as channel:
        meta = (("authorization", "Bearer " + os.environ["GRPC_TOKEN"]),)
        big = os.urandom(1500000)
        call = channel.unary_unary("/t.T/Unary")
        said, how = call.with_call(b"hello", metadata=meta, timeout=20)
        assert said == b"olleh", said
        assert dict(how.trailing_metadata())["x-sum"] == "5"
        assert call(big, timeout=20) == big[::-1]
        said = list(channel.unary_stream("/t.T/Down")(b"1000", timeout=20))
        assert said == [b"%d" % i for i in range(1000)]
        said = channel.stream_unary("/t.T/Up")(
            iter([b"x" * 1000] * 2000), timeout=20)
        assert said == b"2000000", said

        # Each message is answered before the next one is sent.
        answers = []

        def messages():
            for i in range(100):
                while len(answers) < i:
                    time.sleep(0.001)
                yield b"%d" % i

        for said in channel.stream_stream("/t.T/Both")(messages(),
                                                       timeout=20):
            answers.append(said)
        assert answers == [b"got %d" % i for i in range(100)]
        try:
            channel.unary_unary("/t.T/Refuse")(b"", timeout=20)
            raise AssertionError("not refused")
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.FAILED_PRECONDITION, e
            assert e.details() == "not so: %", e
        try:
            channel.unary_unary("/t.T/Denied")(b"", timeout=20)
            raise AssertionError("not denied")
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.PERMISSION_DENIED, e
            said = json.loads(e.details())
            assert said["error"] == "policy_denied", said
            assert "policy:" in said["rule"], said
        calls = [call.future(b"%d" % i, timeout=20) for i in range(100)]
        assert all(c.result() == (b"%d" % i)[::-1]
                   for i, c in enumerate(calls))
        print("done grpc")


if sys.argv[1] == "server":
    serve(sys.argv[2], sys.argv[3])
else:
    play(sys.argv[2])
