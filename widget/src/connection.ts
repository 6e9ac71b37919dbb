/**
 * The socket: it resumes from a cursor, notices silence, and comes back by itself.
 *
 * closed → connecting → live → (cut) → waiting, longer each time → connecting …
 */

import { delayMs } from "./backoff";
import type { Frame } from "./wire";

const RECONNECT = { firstMs: 500, longestMs: 30_000 };
const RESTART_SPREAD_MS = 800;
const CROWDED_MS = 15_000;
const STABLE_AFTER_MS = 10_000;
const HELLO_WITHIN_MS = 10_000;
const CODE_RESTART = 1012;
const CODE_TOKEN = 4401;
const CODE_CROWDED = 4429;
const CODE_CUT = 1006;

type Timer = ReturnType<typeof setTimeout> | undefined;

export interface ConnectionOptions {
  url: () => string;
  open: (url: string) => WebSocket;
  random: () => number;
  onFrame: (frame: Frame) => void;
  onLive: (isLive: boolean) => void;
  /** The server says that the token is no good. */
  onRefused: () => void;
}

export class Connection {
  private socket: WebSocket | null = null;
  private isWanted = false;
  private isLive = false;
  private attempt = 0;
  private quietMs = HELLO_WITHIN_MS;
  private retryTimer: Timer;
  private silenceTimer: Timer;
  private stableTimer: Timer;

  constructor(private readonly options: ConnectionOptions) {}

  start(): void {
    this.isWanted = true;
    if (this.socket === null && this.retryTimer === undefined) this.connect();
  }

  stop(): void {
    this.isWanted = false;
    this.cut();
  }

  /** Give the socket up; if it is still wanted it comes back after a pause. */
  cut(): void {
    const current = this.socket;
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    this.lose(CODE_CUT);
    current?.close();
  }

  /** Try at once, because the network came back or the page became visible. */
  hurry(): void {
    if (this.isWanted && this.socket === null) this.connect();
  }

  send(frame: object): void {
    if (this.isLive && this.socket?.readyState === 1) this.socket.send(JSON.stringify(frame));
  }

  private connect(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    const current = this.options.open(this.options.url());
    this.socket = current;
    this.quietMs = HELLO_WITHIN_MS;
    this.listenForSilence();
    current.onmessage = (event: MessageEvent) => {
      if (this.socket === current) this.receive(String(event.data));
    };
    current.onclose = (event: CloseEvent) => {
      if (this.socket === current) this.lose(event.code);
    };
  }

  private receive(text: string): void {
    const frame = parse(text);
    if (frame?.type === "hello") {
      this.isLive = true;
      this.quietMs = frame.heartbeat_seconds * 2_000 + 5_000;
      this.stableTimer = setTimeout(() => (this.attempt = 0), STABLE_AFTER_MS);
      this.options.onLive(true);
    }
    this.listenForSilence();
    if (frame !== null) this.options.onFrame(frame);
  }

  /** A pulled cable closes nothing: without a word for two heartbeats the socket is given up. */
  private listenForSilence(): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = setTimeout(() => this.cut(), this.quietMs);
  }

  private lose(code: number): void {
    this.socket = null;
    clearTimeout(this.silenceTimer);
    clearTimeout(this.stableTimer);
    if (this.isLive) {
      this.isLive = false;
      this.options.onLive(false);
    }
    if (code === CODE_TOKEN) this.options.onRefused();
    if (this.isWanted) this.retryTimer = setTimeout(() => this.connect(), this.waitMs(code));
  }

  private waitMs(code: number): number {
    const attempt = this.attempt;
    this.attempt += 1;
    if (code === CODE_RESTART && attempt === 0) return RESTART_SPREAD_MS * this.options.random();
    const wait = delayMs(RECONNECT, attempt, this.options.random);
    return code === CODE_CROWDED ? Math.max(wait, CROWDED_MS) : wait;
  }
}

function parse(text: string): Frame | null {
  try {
    const frame: unknown = JSON.parse(text);
    return typeof frame === "object" && frame !== null && "type" in frame ? (frame as Frame) : null;
  } catch {
    return null;
  }
}
