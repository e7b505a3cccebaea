// A backend on Node `ws`; what it does is told in support/backend.py.
"use strict";

const fs = require("node:fs");
const http = require("node:http");
const https = require("node:https");
const { WebSocketServer } = require("ws");

const QUESTION = "are you there";

function tell(event, facts) {
  process.stdout.write(JSON.stringify({ event, ...facts }) + "\n");
}

function refuse(socket) {
  const body = "no ticket, no chat\n";
  socket.end(
    "HTTP/1.1 401 Unauthorized\r\n" +
      'WWW-Authenticate: Bearer realm="chat"\r\n' +
      "Content-Type: text/plain\r\n" +
      `Content-Length: ${body.length}\r\n` +
      "Connection: close\r\n\r\n" +
      body,
  );
}

const acts = {
  echo: (session) => session.on("message", (data, binary) => session.send(data, { binary })),
  close: (session, wish) => session.close(Number(wish.get("code")), wish.get("reason")),
  ping: (session) => {
    session.on("pong", (data) => session.send(data.toString()));
    session.ping(QUESTION);
  },
};

const [cert, key] = process.argv.slice(2).map((path) => fs.readFileSync(path));
const server = cert ? https.createServer({ cert, key }) : http.createServer();
const webSockets = new WebSocketServer({
  noServer: true,
  maxPayload: 0,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => offered.has("chat.v2") && "chat.v2",
});

server.on("upgrade", (request, socket, head) => {
  tell("request", { target: request.url, headers: request.headers });
  const target = new URL(request.url, "ws://backend.test");
  const act = target.pathname.split("/").pop();
  if (act === "unauthorized") return refuse(socket);
  webSockets.handleUpgrade(request, socket, head, (session) => {
    session.on("close", (code, reason) => tell("closed", { code, reason: reason.toString() }));
    acts[act](session, target.searchParams);
  });
});

server.listen(0, "127.0.0.1", () => tell("listening", { port: server.address().port }));
