// The same fan-out on `ws`: a token at the handshake, rooms, events from Valkey sent as they come.
import { createServer } from "node:http";
import { WebSocketServer } from "ws";
import { Events, listen, roomOf } from "./rooms.mjs";

const HELLO = '{"type":"hello"}';
const AS_TEXT = { binary: false };
const rooms = new Map();
const events = new Events((room, event) => {
  for (const socket of rooms.get(room) ?? []) socket.send(event, AS_TEXT);
});

async function welcome(socket, room) {
  socket.on("error", () => socket.terminate());
  socket.on("message", (said) => socket.send(said, AS_TEXT));
  socket.on("close", () => rooms.get(room)?.delete(socket));
  await events.of(room);
  if (!rooms.has(room)) rooms.set(room, new Set());
  rooms.get(room).add(socket);
  socket.send(HELLO);
}

const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 4096 });
const server = createServer((_, answer) => answer.writeHead(404).end());
server.on("upgrade", (request, connection, head) => {
  const room = roomOf(new URL(request.url, "http://localhost").searchParams.get("token"));
  if (room) sockets.handleUpgrade(request, connection, head, (socket) => welcome(socket, room));
  else connection.end("HTTP/1.1 401 Unauthorized\r\n\r\n");
});
listen(server);
