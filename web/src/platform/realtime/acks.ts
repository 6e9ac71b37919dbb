const AT_MOST_EVERY_MS = 1_000;

/** Tells the server how far events have been applied: at most once a second, and with each heartbeat. */
export class Acks {
  private readonly tell: () => void;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(tell: () => void) {
    this.tell = tell;
  }

  applied(): void {
    this.timer ??= setTimeout(() => this.now(), AT_MOST_EVERY_MS);
  }

  /** At once: a page in the background gets its heartbeats, but its timers late. */
  now(): void {
    this.stop();
    this.tell();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }
}
