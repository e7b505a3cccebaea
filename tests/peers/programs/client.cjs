// A client on Node `ws`, told what to do by lines of JSON: `[verb, ...arguments]` in,
// `{result}` or `{error}` out, one answer a line. support/page.html knows the same verbs but `exchange`.
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

// Random messages of 0 to 1 MiB, most of them small, as support/messages.py makes them.
const SIZE_MAX = 1 << 20;
const SMALL_MAX = 1 << 14;
const LARGE_ONE_IN = 200;

function* randomMessages(seed, count) {
  // Marsaglia's xorshift, which is good enough to choose by.
  let state = seed + 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const below = (end) => Math.floor(random() * end);
  const alphabet = "etaoin shrdlu\n\u00e4\u20ac";
  const letters = Array.from({ length: SIZE_MAX }, () => alphabet[below(alphabet.length)]).join("");
  const noise = Buffer.from(Array.from({ length: SIZE_MAX }, () => below(256)));
  const table = Buffer.from(Array.from({ length: SIZE_MAX }, (_, n) => Math.floor(n / 9) % 251));
  yield Buffer.alloc(0);
  yield noise;
  for (let n = 2; n < count; n++) {
    const size =
      below(LARGE_ONE_IN) === 0 ? below(SIZE_MAX + 1) : Math.floor(SMALL_MAX ** random()) - 1;
    const begin = below(SIZE_MAX - size + 1);
    const source = [letters, noise, table][below(3)];
    // A letter is up to three bytes.
    const length = source === letters ? Math.floor(size / 3) : size;
    yield source.slice(begin, begin + length);
  }
}

// Sends them and compares what comes back, with so many on their way; how many bytes they were.
function exchange(seed, count, inFlightMax) {
  return new Promise((resolve, reject) => {
    const messages = randomMessages(seed, count);
    const expected = [];
    let compared = 0;
    let bytes = 0;
    const send = () => {
      while (expected.length < inFlightMax) {
        const { value, done } = messages.next();
        if (done) return;
        expected.push(value);
        bytes += Buffer.byteLength(value);
        socket.send(value);
      }
    };
    const compare = (data, binary) => {
      const message = expected.shift();
      const isSame = binary === Buffer.isBuffer(message) && data.equals(Buffer.from(message));
      if (!isSame) return reject(new Error(`message ${compared} of ${count} is another`));
      compared += 1;
      if (compared < count) return send();
      socket.off("message", compare);
      socket.on("message", take);
      resolve(bytes);
    };
    socket.off("message", take);
    socket.on("message", compare);
    socket.once("close", (code) => reject(new Error(`closed with ${code}`)));
    send();
  });
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
  exchange,
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
