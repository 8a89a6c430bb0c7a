// A WebSocket inside of HTTP/2 (RFC 8441), inside a job: ws_http2.js URL
"use strict";
const http2 = require("http2");

const session = http2.connect(process.argv[2], {
    ca: require("fs").readFileSync(process.env.NODE_EXTRA_CA_CERTS),
});

function fail(why) {
    console.log("failed: " + why);
    process.exit(1);
}

// One masked text frame (RFC 6455 section 5.2) of less than 126 bytes.
function frame(text) {
    const mask = Buffer.from([1, 2, 3, 4]);
    const data = Buffer.from(text).map((b, i) => b ^ mask[i % 4]);
    return Buffer.concat([Buffer.from([0x81, 0x80 | data.length]), mask, data]);
}

session.on("error", fail);
session.once("remoteSettings", (settings) => {
    if (!settings.enableConnectProtocol)
        fail("no extended CONNECT");
    const stream = session.request({
        ":method": "CONNECT",
        ":protocol": "websocket",
        ":path": "/echo",
        "sec-websocket-version": "13",
        authorization: "Bearer " + process.env.WS_TOKEN,
    });
    let got = Buffer.alloc(0);
    stream.on("error", fail);
    stream.on("response", (headers) => {
        if (headers[":status"] !== 200)
            fail("status " + headers[":status"]);
        stream.write(frame("over two"));
    });
    stream.on("data", (data) => {
        got = Buffer.concat([got, data]);
        if (got.length < 10)
            return;
        if (got[0] !== 0x81 || got[1] !== 8 ||
            got.subarray(2, 10).toString() !== "over two")
            fail("echo " + got.toString("hex"));
        console.log("echoed over HTTP/2");
        process.exit(0);
    });
});
setTimeout(() => fail("time"), 20000);
