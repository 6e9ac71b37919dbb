import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { event, type FakeWire, hello, startConnection as start } from "./examples";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

async function blocked() {
  const made = start();
  for (const _ of [1, 2]) {
    (await made.latest()).breaks(1006);
    await vi.advanceTimersByTimeAsync(2000);
  }
  return { ...made, stream: await made.latest() };
}

it("takes a stream after two sockets in a row that never greeted", async () => {
  const { connection, wires, stream, seen, posted } = await blocked();
  expect(wires.map(({ kind }) => kind)).toEqual(["socket", "socket", "stream"]);
  stream.says(hello);
  stream.says(event(8));
  stream.says({ type: "heartbeat", cursor: 9 });
  expect(connection.state.get()).toBe("live");
  expect(seen).toEqual([8]);
  connection.say({ type: "typing", conversation_id: "a", is_typing: true });
  expect(posted).toHaveLength(1);
  expect(stream.said).toEqual([]);
});

it("comes back with a stream, and tries a socket again beside it after some minutes", async () => {
  const { wires, stream, latest, seen, connection } = await blocked();
  stream.says(hello);
  stream.breaks(1006);
  await vi.advanceTimersByTimeAsync(4000);
  const second = await latest();
  expect(second.kind).toBe("stream");
  second.says(hello);
  const beat = setInterval(() => second.says({ type: "heartbeat", cursor: 7 }), 10_000);
  await vi.advanceTimersByTimeAsync(4 * 60_000 + 100);
  const socket = wires.at(-1) as FakeWire;
  expect(socket.kind).toBe("socket");
  expect(second.isClosed).toBe(false);
  socket.says(hello);
  clearInterval(beat);
  expect(second.isClosed).toBe(true);
  socket.says(event(8));
  expect(seen).toEqual([8]);
  expect(connection.state.get()).toBe("live");
});

it("keeps the stream when the socket beside it never greets", async () => {
  const { wires, stream, connection } = await blocked();
  stream.says(hello);
  setInterval(() => stream.says({ type: "heartbeat", cursor: 7 }), 10_000);
  await vi.advanceTimersByTimeAsync(4 * 60_000 + 11_000);
  expect(wires.at(-1)).toMatchObject({ kind: "socket", isClosed: true });
  expect(connection.state.get()).toBe("live");
  expect(stream.isClosed).toBe(false);
});

it("begins a stream anew for what it is to follow", async () => {
  const { wires, stream, connection, latest } = await blocked();
  stream.says(hello);
  for (const id of ["a", "b", "c"]) connection.follow([`conversation:${id}`]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(wires).toHaveLength(4);
  expect((await latest()).query.get("channels")).toBe("organization,conversation:c");
});
