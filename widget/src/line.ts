/** One way to the server: a socket, or a stream of events where a proxy lets no socket through. */

export type Kind = "socket" | "stream";

export interface Line {
  readonly kind: Kind;
  say(frame: object): void;
  close(): void;
}

export interface Ears {
  heard(text: string): void;
  /** It ended by itself; 1006 when nobody said why. */
  ended(code: number): void;
}

export const CODE_CUT = 1006;

export function socketLine(socket: WebSocket, ears: Ears): Line {
  socket.onmessage = ({ data }: MessageEvent) => ears.heard(String(data));
  socket.onclose = ({ code }: CloseEvent) => ears.ended(code);
  return {
    kind: "socket",
    say: (frame) => {
      if (socket.readyState === 1) socket.send(JSON.stringify(frame));
    },
    close: () => socket.close(),
  };
}

/** The browser would come back by itself with the old token, so the first error ends the stream. */
export function streamLine(stream: EventSource, ears: Ears): Line {
  stream.onmessage = ({ data }: MessageEvent) => ears.heard(String(data));
  stream.onerror = () => {
    stream.close();
    ears.ended(CODE_CUT);
  };
  return { kind: "stream", say: () => undefined, close: () => stream.close() };
}
