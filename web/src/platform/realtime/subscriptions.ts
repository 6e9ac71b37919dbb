/** What every member follows: all events that members may see. */
const ALWAYS = ["organization"] as const;
/** The server takes a hundred channels from one connection. */
const AT_MOST = 100 - ALWAYS.length;
/** Who walks through a list opens many; a stream begins anew for the last of them only. */
const SETTLED_MS = 800;

/** Keeps what is followed over a connection equal to what is wanted. */
export class Subscriptions {
  private readonly tell: (frame: object) => void;
  private readonly reopen: () => void;
  private wanted: readonly string[] = ALWAYS;
  private followed = new Set<string>();
  private readonly refusals = new Set<string>();
  private canTell = false;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: (frame: object) => void, reopen: () => void) {
    this.tell = tell;
    this.reopen = reopen;
  }

  all(): string {
    return this.wanted.join(",");
  }

  /** A new connection asks for all with its handshake. */
  begin(): string {
    this.refusals.clear();
    this.followed = new Set(this.wanted);
    return this.all();
  }

  want(channels: Iterable<string>, isLive: boolean): void {
    this.wanted = [...ALWAYS, ...[...channels].slice(-AT_MOST)];
    if (isLive) this.reconcile();
  }

  /** The server says what it took; over a stream nothing more can be asked. */
  greeted(channels: readonly string[], canTell: boolean): void {
    this.canTell = canTell;
    if (canTell) this.followed = new Set(channels);
    this.reconcile();
  }

  /** The right is missing, or was lost; it isn't asked for again over this connection. */
  refused(channel: string): void {
    this.followed.delete(channel);
    this.refusals.add(channel);
  }

  ended(): void {
    clearTimeout(this.timer);
  }

  private reconcile(): void {
    const missing = this.wanted.filter((channel) => !this.followed.has(channel) && !this.refusals.has(channel));
    clearTimeout(this.timer);
    if (!this.canTell) {
      if (missing.length > 0) this.timer = setTimeout(this.reopen, SETTLED_MS);
      return;
    }
    const surplus = [...this.followed].filter((channel) => !this.wanted.includes(channel));
    for (const channel of surplus) {
      this.followed.delete(channel);
      this.tell({ type: "unsubscribe", channel });
    }
    for (const channel of missing) {
      this.followed.add(channel);
      this.tell({ type: "subscribe", channel });
    }
  }
}
