/** A timer that knows when it should have rung: those of a page in the background come late. */
export class Alarm {
  private readonly ring: () => void;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private at = Number.POSITIVE_INFINITY;

  constructor(ring: () => void) {
    this.ring = ring;
  }

  get isOverdue(): boolean {
    return Date.now() > this.at;
  }

  set(afterMs: number): void {
    this.stop();
    this.at = Date.now() + afterMs;
    this.timer = setTimeout(() => {
      this.stop();
      this.ring();
    }, afterMs);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.at = Number.POSITIVE_INFINITY;
  }
}
