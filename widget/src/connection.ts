/**
 * The connection: it resumes from a cursor, notices silence, and comes back by itself.
 *
 * closed → connecting → live → (cut) → waiting, longer each time → connecting …
 */

import type { Answer } from "./api";
import { delayMs, returnMs } from "./backoff";
import type { Choice } from "./choice";
import { CODE_CUT, type Ears, type Kind, type Line } from "./line";
import type { Frame, RealtimeToken, Typing } from "./wire";

const RECONNECT = { firstMs: 1_000, longestMs: 30_000 };
const RESTART_SPREAD_MS = 800;
const CROWDED_MS = 15_000;
const STABLE_AFTER_MS = 10_000;
const HELLO_WITHIN_MS = 10_000;
/** Silence of more than two heartbeats is a dead connection, whatever the browser thinks. */
const SILENCE_HEARTBEATS = 2.5;
const ACK_EVERY_MS = 1_000;
/** A new token comes in the last quarter of the old one's time, spread so that a crowd doesn't ask at once. */
const RENEW_FROM = 0.75;
const RENEW_SPREAD = 0.1;
const CODE_RESTART = 1012;
const CODE_TOKEN = 4401;
const CODE_CROWDED = 4429;

type Timer = ReturnType<typeof setTimeout> | undefined;

export interface ConnectionOptions {
  choice: Choice;
  token: () => Promise<Answer<RealtimeToken>>;
  open: (kind: Kind, token: string, ears: Ears) => Line;
  /** Up to where everything has been applied. */
  cursor: () => number;
  random: () => number;
  onFrame: (frame: Frame) => void;
  onLive: (isLive: boolean) => void;
  /** The server says that the token is no good. */
  onRefused: () => void;
  /** Say by a request what a stream can't carry. */
  post: (frame: Typing) => void;
}

export class Connection {
  private line: Line | null = null;
  /** Grows with every attempt, so that what is late finds out that it is. */
  private round = 0;
  private isWanted = false;
  private isLive = false;
  private isAsking = false;
  private attempt = 0;
  /** The greatest cursor of this connection; what was fetched may be later than what was sent. */
  private heardCursor = 0;
  private quietMs = HELLO_WITHIN_MS;
  private retryTimer: Timer;
  private silenceTimer: Timer;
  private stableTimer: Timer;
  private ackTimer: Timer;
  private renewTimer: Timer;

  constructor(private readonly options: ConnectionOptions) {}

  start(): void {
    this.isWanted = true;
    if (!this.isBusy() && this.retryTimer === undefined) void this.connect();
  }

  stop(): void {
    this.isWanted = false;
    this.cut();
  }

  /** Give the connection up; if it is still wanted it comes back after a pause. */
  cut(): void {
    this.lose(CODE_CUT);
  }

  /** Try at once, because the network came back or the page became visible. */
  hurry(): void {
    if (this.isWanted && !this.isBusy()) void this.connect();
  }

  send(frame: Typing): void {
    if (!this.isLive) return;
    if (this.line?.kind === "stream") this.options.post(frame);
    else this.line?.say(frame);
  }

  private isBusy(): boolean {
    return this.line !== null || this.isAsking;
  }

  private async connect(): Promise<void> {
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    const round = ++this.round;
    this.isAsking = true;
    const answer = await this.options.token();
    if (round !== this.round) return;
    this.isAsking = false;
    if (!answer.ok) {
      if (answer.failure.kind === "unknown") this.options.onRefused();
      const afterMs = answer.failure.kind === "later" ? answer.failure.afterSeconds * 1_000 : 0;
      return this.lose(CODE_CUT, afterMs);
    }
    this.quietMs = HELLO_WITHIN_MS;
    this.heardCursor = this.options.cursor();
    this.line = this.options.open(this.options.choice.kind(), answer.value.token, {
      heard: (text) => round === this.round && this.receive(text),
      ended: (code) => round === this.round && this.end(code),
    });
    this.listenForSilence();
  }

  private receive(text: string): void {
    const frame = parse(text);
    if (frame?.type === "hello") this.greet(frame);
    this.listenForSilence();
    if (frame === null) return;
    if (frame.type === "bye") return this.lose(frame.code, frame.retry_ms);
    if (frame.type === "renewed") this.renewLater(frame.valid_seconds);
    if ("cursor" in frame) this.heardCursor = Math.max(this.heardCursor, frame.cursor);
    this.options.onFrame(frame);
    if (frame.type === "heartbeat") this.acknowledge();
    else if (frame.type === "event") this.ackTimer ??= setTimeout(() => this.acknowledge(), ACK_EVERY_MS);
  }

  private greet(hello: Extract<Frame, { type: "hello" }>): void {
    const kind = this.line?.kind ?? "socket";
    this.isLive = true;
    this.quietMs = hello.heartbeat_seconds * SILENCE_HEARTBEATS * 1_000;
    this.options.choice.works(kind);
    this.stableTimer = setTimeout(() => (this.attempt = 0), STABLE_AFTER_MS);
    if (kind === "socket") this.renewLater(hello.valid_seconds);
    this.options.onLive(true);
  }

  private acknowledge(): void {
    clearTimeout(this.ackTimer);
    this.ackTimer = undefined;
    this.line?.say({ type: "ack", cursor: Math.min(this.options.cursor(), this.heardCursor) });
  }

  private renewLater(validSeconds: number): void {
    clearTimeout(this.renewTimer);
    if (!(validSeconds > 0)) return;
    const waitMs = validSeconds * 1_000 * (RENEW_FROM + RENEW_SPREAD * this.options.random());
    this.renewTimer = setTimeout(() => void this.renew(0), waitMs);
  }

  private async renew(failures: number): Promise<void> {
    const round = this.round;
    const answer = await this.options.token();
    if (round !== this.round) return;
    if (answer.ok) this.line?.say({ type: "renew", token: answer.value.token });
    else this.renewTimer = setTimeout(() => void this.renew(failures + 1), delayMs(RECONNECT, failures, this.options.random));
  }

  /** A pulled cable closes nothing: without a word for so long the connection is given up. */
  private listenForSilence(): void {
    clearTimeout(this.silenceTimer);
    this.silenceTimer = setTimeout(() => this.end(CODE_CUT), this.quietMs);
  }

  private end(code: number): void {
    if (!this.isLive && code === CODE_CUT && this.line) this.options.choice.isMute(this.line.kind);
    this.lose(code);
  }

  private lose(code: number, retryMs?: number): void {
    const { line } = this;
    this.round += 1;
    this.line = null;
    this.isAsking = false;
    for (const timer of [this.silenceTimer, this.stableTimer, this.ackTimer, this.renewTimer, this.retryTimer]) clearTimeout(timer);
    this.ackTimer = undefined;
    this.retryTimer = undefined;
    line?.close();
    if (this.isLive) {
      this.isLive = false;
      this.options.onLive(false);
    }
    if (code === CODE_TOKEN) this.options.onRefused();
    if (this.isWanted) this.retryTimer = setTimeout(() => void this.connect(), this.waitMs(code, retryMs));
  }

  private waitMs(code: number, retryMs: number | undefined): number {
    const attempt = this.attempt;
    this.attempt += 1;
    const usual = returnMs(RECONNECT, attempt, this.options.random);
    // The server itself spreads those whom it sends away.
    if (retryMs) return attempt === 0 ? retryMs : Math.max(retryMs, usual);
    if (code === CODE_RESTART && attempt === 0) return RESTART_SPREAD_MS * this.options.random();
    return code === CODE_CROWDED ? Math.max(usual, CROWDED_MS) : usual;
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
