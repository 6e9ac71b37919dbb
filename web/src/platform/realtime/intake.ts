import type { EventFrame, News } from "./frames";

/** So many events are kept for tabs that are a little behind. */
const KEPT = 500;

/** How far this tab has come, and the last events on the way there. */
export class Intake {
  private at: number;
  /** Every event after this one, up to the cursor, is kept. */
  private from: number;
  private readonly recent: EventFrame[] = [];

  constructor(cursor: number) {
    this.at = cursor;
    this.from = cursor;
  }

  get cursor(): number {
    return this.at;
  }

  /** Take note of news; false when they are none, because what was fetched is later. */
  take(frame: News): boolean {
    if (frame.type === "event") {
      if (frame.cursor <= this.at) return false;
      this.at = frame.cursor;
      this.recent.push(frame);
      if (this.recent.length > KEPT) this.from = this.recent.shift()?.cursor ?? this.at;
    } else if (frame.type === "heartbeat") this.at = Math.max(this.at, frame.cursor);
    else if (frame.type === "resync") this.restart(frame.cursor);
    return true;
  }

  /** What came after a cursor, or null when that is too long ago. */
  since(cursor: number): EventFrame[] | null {
    return cursor < this.from ? null : this.recent.filter((frame) => frame.cursor > cursor);
  }

  private restart(cursor: number): void {
    this.at = cursor;
    this.from = cursor;
    this.recent.length = 0;
  }
}
