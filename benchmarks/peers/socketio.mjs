// The same fan-out on Socket.IO: a token at the handshake, its rooms, events from Valkey emitted as they come.
import { createServer } from "node:http";
import { Server } from "socket.io";
import { Events, listen, roomOf } from "./rooms.mjs";

const server = createServer();
const io = new Server(server, { transports: ["websocket"], perMessageDeflate: false, maxHttpBufferSize: 4096 });
const events = new Events((room, event) => io.to(room).emit("event", JSON.parse(event)));

io.use((socket, next) => {
  socket.data.room = roomOf(socket.handshake.query.token);
  next(socket.data.room ? undefined : new Error("unauthorized"));
});
io.on("connection", async (socket) => {
  socket.on("echo", (said) => socket.emit("echo", said));
  await events.of(socket.data.room);
  await socket.join(socket.data.room);
  socket.emit("hello");
});
listen(server);
