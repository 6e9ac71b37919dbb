import { createStore, type Store } from "@/platform/store";
import type { LinkState } from "./connection";
import type { News, Presence, Saying } from "./frames";
import { Intake } from "./intake";
import { Leading, type Line, type LineEars } from "./leading";
import type { Neighbours, Note } from "./notes";

/** What a tab does with what it hears, wherever from. */
export interface Ears {
  onNews(frame: News): void;
  /** Too much was missed: fetch everything again. */
  onResync(): void;
}

export interface TabOptions {
  id: string;
  /** Opens the connection, for the tab that leads. */
  connect(ears: LineEars): Line;
  neighbours: Neighbours;
  isVisible(): boolean;
}

const LOOK_EVERY_MS = 5_000;
/** A leader says something with each heartbeat; one that is silent longer is asked, and one that doesn't answer replaced. */
const ASK_AFTER_MS = 20_000;
const ANSWER_WITHIN_MS = 5_000;
const ASK_AGAIN_MS = 3_000;
/** Who is where, for tabs that come later: more than a hundred channels aren't followed at once. */
const LISTS_KEPT = 100;

/**
 * One tab of several that share one connection. The tab that holds the lock leads: it has the connection and passes
 * everything on. The others compare what comes with what they have, and ask the leader for what is missing.
 *
 *     server ══ leader ──frame, cursor before it──► others      others ──want, say, since──► leader
 */
export class Tab {
  readonly state: Store<LinkState> = createStore<LinkState>("connecting");
  private readonly options: TabOptions;
  private readonly ears: Ears;
  private readonly intake: Intake;
  private channels: readonly string[] = [];
  private readonly lists = new Map<string, Presence>();
  private leading: Leading | null = null;
  private isActive = true;
  private heardAt = 0;
  private askedAt = 0;
  /** When the leader was asked whether it is there and hasn't answered yet. */
  private doubtedAt: number | null = null;
  private quit: (() => void) | null = null;

  constructor(options: TabOptions, ears: Ears, cursor: number) {
    this.options = options;
    this.ears = ears;
    this.intake = new Intake(cursor);
  }

  get cursor(): number {
    return this.intake.cursor;
  }

  start(): void {
    const { neighbours } = this.options;
    this.heard();
    const stopHearing = neighbours.listen((note) => this.hear(note));
    const resign = neighbours.lead({ begin: () => this.lead(), lost: () => this.step() });
    const look = setInterval(() => this.look(), LOOK_EVERY_MS);
    this.quit = () => {
      clearInterval(look);
      this.step();
      resign();
      neighbours.post({ name: "gone", tab: this.options.id });
      stopHearing();
    };
    this.want();
  }

  stop(): void {
    this.quit?.();
    this.quit = null;
  }

  retryNow(): void {
    if (this.leading) this.leading.line.retryNow();
    else this.options.neighbours.post({ name: "retry" });
  }

  wentOffline(): void {
    this.leading?.line.wentOffline();
  }

  /** Follow exactly these channels from now on, beside the organization's. */
  follow(channels: readonly string[]): void {
    this.channels = channels;
    this.want();
  }

  setActive(isActive: boolean): void {
    if (isActive === this.isActive) return;
    this.isActive = isActive;
    this.want();
  }

  /** Somebody turned to this tab; the leader may have been put to sleep meanwhile. */
  turnedTo(): void {
    this.look(true);
  }

  say(saying: Saying): void {
    if (this.leading) this.leading.line.say(saying);
    else this.options.neighbours.post({ name: "say", saying });
  }

  /** Tell the leader what this tab follows, whether somebody is at it, and how far it is. */
  private want(): void {
    if (!this.quit) return;
    const want = { tab: this.options.id, channels: this.channels, isActive: this.isActive };
    if (this.leading) this.leading.wants(want);
    else this.options.neighbours.post({ name: "want", want, cursor: this.intake.cursor });
  }

  private lead(): void {
    const { neighbours, connect, id } = this.options;
    const line = connect({
      cursor: () => this.intake.cursor,
      receive: (frame) => this.receive(frame),
    });
    this.leading = new Leading(line, neighbours, id, (link) => this.state.set(link));
    this.want();
    this.leading.begin();
  }

  /** Step back: the lock is somebody else's, or this tab ends. */
  private step(): void {
    if (!this.leading) return;
    this.leading.end();
    this.leading = null;
    this.heard();
    this.state.set("connecting");
  }

  /** Something came over the connection, which this tab has. */
  private receive(frame: News): void {
    const previous = this.intake.cursor;
    if (this.take(frame)) this.options.neighbours.post({ name: "frame", frame, previous });
  }

  private hear(note: Note): void {
    if (this.leading) this.hearAsLeader(this.leading, note);
    else this.hearAsFollower(note);
  }

  private hearAsLeader(leading: Leading, note: Note): void {
    const { neighbours } = this.options;
    if (note.name === "want") {
      leading.wants(note.want);
      neighbours.post({ name: "link", link: this.state.get() });
      const known = note.want.channels.concat("organization").map((channel) => this.lists.get(channel));
      for (const frame of known) if (frame) neighbours.post({ name: "frame", frame, previous: null });
      if (note.cursor < this.intake.cursor) this.answer(note.want.tab, note.cursor);
    } else if (note.name === "since") this.answer(note.tab, note.cursor);
    else if (note.name === "say") leading.line.say(note.saying);
    else if (note.name === "retry") leading.line.retryNow();
    else if (note.name === "gone") leading.gone(note.tab);
    else if (note.name === "ask") {
      leading.line.wake();
      neighbours.post({ name: "link", link: this.state.get() });
    }
  }

  private answer(to: string, cursor: number): void {
    this.options.neighbours.post({ name: "replay", to, frames: this.intake.since(cursor), cursor: this.intake.cursor });
  }

  private hearAsFollower(note: Note): void {
    const isMine = !("to" in note) || note.to === this.options.id;
    if (note.name === "lead" || note.name === "link" || note.name === "frame" || note.name === "replay") this.heard();
    if (note.name === "lead") {
      this.askedAt = 0;
      this.want();
    } else if (note.name === "link") this.state.set(note.link);
    else if (note.name === "frame") this.hearFrame(note.frame, note.previous);
    else if (note.name === "replay" && isMine) this.hearReplay(note);
  }

  private hearFrame(frame: News, previous: number | null): void {
    const isBehind = previous !== null && "cursor" in frame && frame.type !== "resync" && this.intake.cursor < previous;
    if (!isBehind) this.take(frame);
    else if (Date.now() - this.askedAt > ASK_AGAIN_MS) {
      this.askedAt = Date.now();
      this.options.neighbours.post({ name: "since", tab: this.options.id, cursor: this.intake.cursor });
    }
  }

  private hearReplay({ frames, cursor }: Extract<Note, { name: "replay" }>): void {
    this.askedAt = 0;
    if (cursor <= this.intake.cursor) return;
    if (frames) for (const frame of frames) this.take(frame);
    if (frames) this.take({ type: "heartbeat", cursor });
    else this.take({ type: "resync", cursor });
  }

  private take(frame: News): boolean {
    if (!this.intake.take(frame)) return false;
    if (frame.type === "presence") this.keepList(frame);
    this.ears.onNews(frame);
    if (frame.type === "resync") this.ears.onResync();
    return true;
  }

  private keepList(frame: Presence): void {
    this.lists.delete(frame.channel);
    this.lists.set(frame.channel, frame);
    const [oldest] = this.lists.keys();
    if (this.lists.size > LISTS_KEPT && oldest) this.lists.delete(oldest);
  }

  private heard(): void {
    this.heardAt = Date.now();
    this.doubtedAt = null;
  }

  /** A tab that the browser has frozen, or that hangs, may still hold the lock; one in the background is slow. */
  private look(hasReason = false): void {
    const { neighbours, isVisible } = this.options;
    if (this.leading || !isVisible()) {
      this.doubtedAt = null;
    } else if (this.doubtedAt !== null && Date.now() - this.doubtedAt >= ANSWER_WITHIN_MS) {
      this.heard();
      neighbours.steal();
    } else if (hasReason || this.state.get() !== "live" || Date.now() - this.heardAt > ASK_AFTER_MS) {
      this.doubtedAt ??= Date.now();
      neighbours.post({ name: "ask" });
    }
  }
}
