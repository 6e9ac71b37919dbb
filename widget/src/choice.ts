/** Socket or stream: remembers, over pages, that something on the way lets no socket through. */

import type { Kind } from "./line";
import type { Memory } from "./memory";

/** One failure may be a restart; two in a row, with requests working, are a proxy. */
const MUTE_SOCKETS = 2;
const TRY_SOCKET_AGAIN_MS = 4 * 60_000;

export class Choice {
  private mute = 0;

  constructor(private readonly memory: Pick<Memory, "blockedAt" | "saveBlockedAt">) {}

  kind(): Kind {
    return Date.now() - this.memory.blockedAt() < TRY_SOCKET_AGAIN_MS ? "stream" : "socket";
  }

  /** The server has greeted over it. After a stream, one mute socket is enough to go back to it. */
  works(kind: Kind): void {
    this.mute = kind === "socket" ? 0 : MUTE_SOCKETS - 1;
    this.memory.saveBlockedAt(kind === "socket" ? null : Date.now());
  }

  /** It ended without a greeting, although its token could be had. */
  isMute(kind: Kind): void {
    this.mute = kind === "socket" ? this.mute + 1 : MUTE_SOCKETS - 1;
    this.memory.saveBlockedAt(this.mute >= MUTE_SOCKETS ? Date.now() : null);
  }
}
