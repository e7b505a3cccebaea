// A client on Node `ws`, told what to do by lines of JSON: `[verb, ...arguments]` in,
// `{result}` or `{error}` out, one answer a line. support/page.html knows the same verbs.
"use strict";

const fs = require("node:fs");
const readline = require("node:readline");
const { WebSocket } = require("ws");

let socket;
let ended;
const arrived = [];
const waiting = [];

function take(data, binary) {
  const message = binary ? { base64: data.toString("base64") } : { text: data.toString() };
  const next = waiting.shift();
  next ? next(message) : arrived.push(message);
}

const verbs = {
  connect: (url, subprotocols, { ca, origin, compression }) =>
    new Promise((resolve) => {
      socket = new WebSocket(url, subprotocols, {
        ca: fs.readFileSync(ca),
        // Where `localhost` is ::1 first, Node 18 tries nothing else.
        family: 4,
        origin,
        perMessageDeflate: compression && { threshold: 0 },
      });
      ended = new Promise((done) =>
        socket.on("close", (code, reason) => done({ code, reason: reason.toString() })),
      );
      socket.on("message", take);
      socket.on("error", (error) => resolve({ refused: { status: null, body: error.message } }));
      socket.on("open", () =>
        resolve({ subprotocol: socket.protocol, extensions: socket.extensions }),
      );
      socket.on("unexpected-response", (_, response) => {
        let body = "";
        response.on("data", (part) => (body += part));
        response.on("end", () => resolve({ refused: { status: response.statusCode, body } }));
      });
    }),
  send: ({ text, base64 }) => {
    socket.send(text ?? Buffer.from(base64, "base64"));
  },
  receive: () => arrived.shift() ?? new Promise((resolve) => waiting.push(resolve)),
  ping: () =>
    new Promise((resolve) => {
      socket.once("pong", (data) => resolve(data.toString()));
      socket.ping("still here");
    }),
  close: (code, reason) => {
    socket.close(code, reason);
  },
  ended: () => ended,
};

async function obey(line) {
  const [verb, ...words] = JSON.parse(line);
  try {
    return { result: (await verbs[verb](...words)) ?? null };
  } catch (error) {
    return { error: String(error) };
  }
}

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(await obey(line)) + "\n");
  }
})();
