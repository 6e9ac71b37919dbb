import { Problem } from "@/platform/api/problem";
import { createStore, type Store } from "@/platform/store";
import { Acks } from "./acks";
import { Alarm } from "./alarm";
import { returnMs } from "./backoff";
import { Candidate } from "./candidate";
import type { Choice } from "./choice";
import { type Frame, type News, readFrame, type Saying } from "./frames";
import { Renewal } from "./renewal";
import { Subscriptions } from "./subscriptions";
import { CODE_CUT, type Ears, type Wire, type WireKind } from "./wire";

export type LinkState = "connecting" | "live" | "reconnecting" | "offline";

/** What the connection needs from outside; tests pass fake wires. */
export interface Link {
  open(kind: WireKind, query: URLSearchParams, ears: Ears): Wire;
  /** A token for real time that allows a connection of at least so long. */
  token(leastMs: number): Promise<string>;
  /** The cursor up to which everything has been applied. */
  cursor(): number;
  receive(frame: News): void;
  /** Say by a request what a stream can't carry. */
  post(saying: Saying): void;
  isOnline(): boolean;
}

const CODE_RESTART = 1012;
const CODE_TOKEN = 4401;
const CODE_TOO_MANY = 4429;
const RESTART_JITTER_MS = 500;
const TOO_MANY_MS = 20_000;
/** A token nearer to its end isn't worth a handshake. */
const LEAST_MS = 30_000;
/** Who was connected this long may come back at once; who is thrown out again and again waits longer each time. */
const STABLE_MS = 5_000;
const HELLO_WITHIN_MS = 10_000;
const HEARTBEAT_SECONDS = 10;
/** Silence of more than two heartbeats means a dead connection, whatever the socket thinks. */
const SILENCE_HEARTBEATS = 2.5;

/** One connection to the server that comes back by itself, from where what was applied ends. */
export class Connection {
  readonly state: Store<LinkState> = createStore<LinkState>("connecting");
  private readonly link: Link;
  private readonly choice: Choice;
  private readonly acks = new Acks(() => this.tell({ type: "ack", cursor: this.link.cursor() }));
  private readonly renewal: Renewal;
  private readonly subscriptions = new Subscriptions((frame) => this.tell(frame), () => this.reopen());
  private readonly candidate: Candidate;
  private wire: Wire | null = null;
  private round = 0;
  private attempt = 0;
  private helloAt: number | null = null;
  private isTokenRefused = false;
  private isStopped = true;
  private isAway = false;
  private heartbeatSeconds = HEARTBEAT_SECONDS;
  private readonly retrial = new Alarm(() => void this.connect());
  private readonly silence = new Alarm(() => this.ended(CODE_CUT));

  constructor(link: Link, choice: Choice) {
    this.link = link;
    this.choice = choice;
    this.renewal = new Renewal(
      (leastMs) => link.token(leastMs),
      (token) => this.tell({ type: "renew", token }),
    );
    this.candidate = new Candidate((ears) => this.open("socket", LEAST_MS, ears, () => this.subscriptions.all()), (wire, greeting) => this.replace(wire, greeting));
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

  /** Do what is overdue: the timers of a page in the background come late. */
  wake(): void {
    if (this.isStopped) return;
    if (this.silence.isOverdue) this.ended(CODE_CUT);
    else if (this.retrial.isOverdue) this.retryNow();
  }

  /** The network went away; don't wait for the silence to notice. */
  wentOffline(): void {
    this.drop();
    this.state.set("offline");
  }

  /** Follow exactly these channels from now on, beside the organization's. */
  follow(channels: Iterable<string>): void {
    this.subscriptions.want(channels, this.isLive());
  }

  setAway(isAway: boolean): void {
    if (isAway === this.isAway) return;
    this.isAway = isAway;
    this.say({ type: "state", state: isAway ? "away" : "online" });
  }

  /** Lost without harm when not connected. */
  say(saying: Saying): void {
    if (!this.isLive()) return;
    if (this.wire?.kind === "socket") this.tell(saying);
    else this.link.post(saying);
  }

  private async connect(): Promise<void> {
    const round = ++this.round;
    const kind = this.choice.kind();
    const leastMs = this.isTokenRefused ? Number.POSITIVE_INFINITY : LEAST_MS;
    const isMine = () => round === this.round;
    const ears = { heard: (text: string) => isMine() && this.heard(text), ended: (code: number) => isMine() && this.ended(code) };
    let pauseMs = 0;
    const wire = await this.open(kind, leastMs, ears, () => this.subscriptions.begin()).catch((problem: unknown) => {
      pauseMs = problem instanceof Problem ? (problem.retryAfterSeconds ?? 0) * 1000 : 0;
      return null;
    });
    if (!isMine()) return wire?.close();
    if (!wire) return this.retry(Math.max(pauseMs, returnMs(this.attempt++)));
    this.isTokenRefused = false;
    this.wire = wire;
    this.silence.set(HELLO_WITHIN_MS);
  }

  private async open(kind: WireKind, leastMs: number, ears: Ears, channels: () => string): Promise<Wire> {
    const token = await this.link.token(leastMs);
    const query = { token, cursor: String(this.link.cursor()), channels: channels() };
    return this.link.open(kind, new URLSearchParams(query), ears);
  }

  private heard(text: string): void {
    const frame = readFrame(text);
    if (frame?.type === "hello") this.greeted(frame);
    this.silence.set(this.heartbeatSeconds * SILENCE_HEARTBEATS * 1000);
    if (frame?.type === "renewed") this.renewal.start(frame.valid_seconds);
    else if (frame?.type === "bye") this.ended(frame.code, frame.retry_ms);
    else if (frame?.type === "refused") this.subscriptions.refused(frame.channel);
    else if (frame && isNews(frame)) {
      this.link.receive(frame);
      if (frame.type === "heartbeat") this.acks.now();
      else if (frame.type === "event" || frame.type === "resync") this.acks.applied();
    }
  }

  private greeted(hello: Extract<Frame, { type: "hello" }>): void {
    const kind = this.wire?.kind ?? "socket";
    this.helloAt = Date.now();
    this.heartbeatSeconds = hello.heartbeat_seconds || HEARTBEAT_SECONDS;
    this.choice.works(kind);
    if (kind === "socket") this.renewal.start(hello.valid_seconds);
    else this.candidate.later();
    this.state.set("live");
    this.subscriptions.greeted(hello.channels, kind === "socket");
    if (this.isAway) this.say({ type: "state", state: "away" });
  }

  /** A socket could be had beside the stream, so the stream ends. */
  private replace(wire: Wire, greeting: string): Ears {
    this.drop();
    this.wire = wire;
    this.heard(greeting);
    const round = this.round;
    const isMine = () => round === this.round;
    return { heard: (text) => isMine() && this.heard(text), ended: (code) => isMine() && this.ended(code) };
  }

  private ended(code: number, retryMs?: number): void {
    const kind = this.wire?.kind ?? "socket";
    const wasMute = this.helloAt === null && code === CODE_CUT;
    const wasStable = this.helloAt !== null && Date.now() - this.helloAt > STABLE_MS;
    this.drop();
    if (this.isStopped) return;
    if (wasMute && this.link.isOnline()) this.choice.isMute(kind);
    if (wasStable) this.attempt = 0;
    this.isTokenRefused = code === CODE_TOKEN;
    this.retry(this.waitMs(code, retryMs));
  }

  private waitMs(code: number, retryMs: number | undefined): number {
    const usual = returnMs(this.attempt++);
    // The server spreads those it sends away itself.
    if (retryMs !== undefined) return this.attempt > 1 ? Math.max(retryMs, usual) : retryMs;
    if (code === CODE_TOO_MANY) return TOO_MANY_MS;
    const isAtOnce = this.attempt === 1 && (code === CODE_RESTART || code === CODE_TOKEN);
    return isAtOnce ? Math.random() * RESTART_JITTER_MS : usual;
  }

  private retry(waitMs: number): void {
    if (this.isStopped) return;
    this.state.set(this.link.isOnline() ? "reconnecting" : "offline");
    this.retrial.set(waitMs);
  }

  /** A stream can't change what it follows, so another begins where it ends. */
  private reopen(): void {
    if (this.wire?.kind !== "stream") return;
    this.drop();
    void this.connect();
  }

  private drop(): void {
    this.round++;
    this.retrial.stop();
    this.silence.stop();
    this.acks.stop();
    this.renewal.stop();
    this.candidate.stop();
    this.subscriptions.ended();
    const { wire } = this;
    this.wire = null;
    this.helloAt = null;
    wire?.close();
  }

  private isLive(): boolean {
    return this.helloAt !== null;
  }

  private tell(frame: object): void {
    if (this.isLive() && this.wire?.kind === "socket") this.wire.say(JSON.stringify(frame));
  }
}

function isNews(frame: Frame): frame is News {
  return ["event", "heartbeat", "resync", "presence", "ephemeral"].includes(frame.type);
}
