import type { WireKind } from "./wire";

/** One failure may be a restart; two in a row, with requests working, are something on the way that wants no sockets. */
const MUTE_SOCKETS = 2;
/** Networks change: after this long a socket is tried again. */
export const TRY_SOCKET_AGAIN_MS = 4 * 60_000;
const BLOCKED_AT = "dana-sockets-blocked-at";

export type Notebook = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** Chooses between the socket and the stream, and remembers for the session which of them works. */
export class Choice {
  private readonly notebook: Notebook;
  private mute = 0;

  constructor(notebook: Notebook) {
    this.notebook = notebook;
  }

  kind(): WireKind {
    const blockedAt = Number(this.notebook.getItem(BLOCKED_AT) ?? 0);
    return Date.now() - blockedAt < TRY_SOCKET_AGAIN_MS ? "stream" : "socket";
  }

  /** The server has greeted over it. */
  works(kind: WireKind): void {
    this.mute = 0;
    if (kind === "socket") this.notebook.removeItem(BLOCKED_AT);
    else this.block();
  }

  /** It ended without a greeting, although its token could be had. */
  isMute(kind: WireKind): void {
    if (kind === "stream") {
      // Neither works, so they are tried in turn.
      this.notebook.removeItem(BLOCKED_AT);
      this.mute = MUTE_SOCKETS - 1;
    } else if (++this.mute >= MUTE_SOCKETS) this.block();
  }

  private block(): void {
    this.notebook.setItem(BLOCKED_AT, String(Date.now()));
  }
}
