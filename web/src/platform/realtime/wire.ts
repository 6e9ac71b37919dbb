/** One way to the server: a WebSocket, or server-sent events where something on the way lets no WebSocket through. */
export interface Wire {
  readonly kind: WireKind;
  say(text: string): void;
  close(): void;
}

export type WireKind = "socket" | "stream";

/** Who listens to a wire. */
export interface Ears {
  heard(text: string): void;
  /** It has ended by itself; 1006 when nobody said why. */
  ended(code: number): void;
}

export const CODE_CUT = 1006;

/** Open `/api/v1/realtime`, or its stream, with this query. */
export function openWire(kind: WireKind, query: URLSearchParams, ears: Ears): Wire {
  return kind === "socket" ? openSocket(query, ears) : openStream(query, ears);
}

function openSocket(query: URLSearchParams, ears: Ears): Wire {
  const socket = new WebSocket(new URL(`/api/v1/realtime?${query}`, window.location.href.replace(/^http/u, "ws")));
  socket.addEventListener("message", ({ data }) => ears.heard(String(data)));
  socket.addEventListener("close", ({ code }) => ears.ended(code));
  return {
    kind: "socket",
    say: (text) => socket.readyState === WebSocket.OPEN && socket.send(text),
    close: () => socket.close(),
  };
}

/** A browser would come back by itself with the old token, so the first error ends it. */
function openStream(query: URLSearchParams, ears: Ears): Wire {
  const stream = new EventSource(`/api/v1/realtime/stream?${query}`);
  stream.addEventListener("message", ({ data }) => ears.heard(String(data)));
  stream.addEventListener("error", () => {
    stream.close();
    ears.ended(CODE_CUT);
  });
  return { kind: "stream", say: () => undefined, close: () => stream.close() };
}
