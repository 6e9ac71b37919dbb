import { createStore, type Store } from "@/platform/store";
import { backoffMs } from "./backoff";
import { type DanaEvent, type Ephemeral, readFrame } from "./frames";

export type LinkState = "connecting" | "live" | "reconnecting" | "offline";

/** What the connection needs from outside; tests pass a fake socket and clock-free functions. */
export interface Link {
  open(url: string): WebSocket;
  /** The access token to connect with; `isRefused` says that the last one was. */
  token(isRefused: boolean): Promise<string>;
  /** What has been heard of must be in whatever is fetched from here on. */
  onPosition(position: string | undefined): void;
  onEvent(event: DanaEvent): void;
  onEphemeral(frame: Ephemeral): void;
  /** The server can't replay what was missed: fetch everything again. */
  onResync(): void;
  isOnline(): boolean;
}

const CODE_RESTART = 1012;
const CODE_TOKEN = 4401;
const CODE_TOO_MANY = 4429;
const RESTART_JITTER_MS = 500;
const TOO_MANY_MS = 20_000;
/** Until the server has said how often it beats. */
const FIRST_HEARTBEAT_SECONDS = 20;
/** Silence of more than two heartbeats means a dead connection, whatever the socket thinks. */
const SILENCE_HEARTBEATS = 2.5;

/**
 * One socket to the server that comes back by itself. It remembers the cursor of the last event it
 * passed on, and continues from there, so nothing is missed and nothing comes twice.
 */
export class Connection {
  readonly state: Store<LinkState> = createStore<LinkState>("connecting");
  private readonly link: Link;
  private cursor: number;
  private socket: WebSocket | null = null;
  private attempt = 0;
  private isTokenRefused = false;
  private isStopped = true;
  private heartbeatSeconds = FIRST_HEARTBEAT_SECONDS;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private silenceTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(link: Link, cursor: number) {
    this.link = link;
    this.cursor = cursor;
  }

  start(): void {
    this.isStopped = false;
    void this.connect();
  }

  stop(): void {
    this.isStopped = true;
    this.drop();
  }

  /** Try now instead of at the end of the wait: the network came back, or the person asked. */
  retryNow(): void {
    if (this.isStopped || this.state.get() === "live") return;
    this.attempt = 0;
    this.drop();
    void this.connect();
  }

  /** The network went away; don't wait for the silence to notice. */
  wentOffline(): void {
    this.drop();
    this.state.set("offline");
  }

  send(frame: object): void {
    if (this.socket?.readyState === WebSocket.OPEN && this.state.get() === "live") this.socket.send(JSON.stringify(frame));
  }

  private async connect(): Promise<void> {
    let token: string;
    try {
      token = await this.link.token(this.isTokenRefused);
    } catch {
      this.retry(backoffMs(this.attempt++));
      return;
    }
    if (this.isStopped || this.socket) return;
    this.isTokenRefused = false;
    const query = new URLSearchParams({ access_token: token, cursor: String(this.cursor) });
    const socket = this.link.open(`/api/v1/realtime?${query}`);
    this.socket = socket;
    this.listenForSilence();
    socket.addEventListener("message", ({ data }) => this.socket === socket && this.receive(String(data)));
    socket.addEventListener("close", ({ code }) => this.socket === socket && this.closed(code));
  }

  private receive(text: string): void {
    this.listenForSilence();
    const frame = readFrame(text);
    if (frame?.type === "hello") {
      this.heartbeatSeconds = frame.heartbeat_seconds || FIRST_HEARTBEAT_SECONDS;
      this.attempt = 0;
      this.state.set("live");
    } else if (frame?.type === "event") {
      if (frame.cursor <= this.cursor) return;
      this.cursor = frame.cursor;
      this.link.onPosition(frame.position);
      this.link.onEvent(frame.event);
    } else if (frame?.type === "ephemeral") {
      this.link.onEphemeral(frame);
    } else if (frame?.type === "heartbeat") {
      this.cursor = Math.max(this.cursor, frame.cursor);
    } else if (frame?.type === "resync") {
      this.cursor = frame.cursor;
      this.link.onPosition(frame.position);
      this.link.onResync();
    }
  }

  private closed(code: number): void {
    this.drop();
    if (this.isStopped) return;
    // The gateway refuses a handshake without a close code, so a second failure in a row may be the token's.
    this.isTokenRefused = code === CODE_TOKEN || this.attempt === 1;
    if (code === CODE_TOO_MANY) this.retry(TOO_MANY_MS);
    else if (this.attempt === 0 && (code === CODE_RESTART || code === CODE_TOKEN)) {
      this.attempt = 1;
      this.retry(Math.random() * RESTART_JITTER_MS);
    } else this.retry(backoffMs(this.attempt++));
  }

  private retry(waitMs: number): void {
    if (this.isStopped) return;
    this.state.set(this.link.isOnline() ? "reconnecting" : "offline");
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => void this.connect(), waitMs);
  }

  private listenForSilence(): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = setTimeout(() => this.closed(0), this.heartbeatSeconds * SILENCE_HEARTBEATS * 1000);
  }

  private drop(): void {
    clearTimeout(this.retryTimer);
    clearTimeout(this.silenceTimer);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
