import { backoffMs } from "./backoff";

/** The new token comes in the last quarter of the old one's time, spread so that a crowd doesn't ask at once. */
const FROM = 0.75;
const SPREAD = 0.1;

/** Keeps a connection allowed for as long as the person is signed in, without a new one. */
export class Renewal {
  private readonly token: (leastMs: number) => Promise<string>;
  private readonly renew: (token: string) => void;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private attempt = 0;

  constructor(token: (leastMs: number) => Promise<string>, renew: (token: string) => void) {
    this.token = token;
    this.renew = renew;
  }

  /** The connection may live so long from now on. */
  start(validSeconds: number): void {
    this.stop();
    if (!(validSeconds > 0)) return;
    this.attempt = 0;
    this.wait(validSeconds * (FROM + Math.random() * SPREAD) * 1000, (validSeconds / 2) * 1000);
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private wait(waitMs: number, leastMs: number): void {
    const timer = setTimeout(() => void this.ask(timer, leastMs), waitMs);
    this.timer = timer;
  }

  private async ask(mine: ReturnType<typeof setTimeout>, leastMs: number): Promise<void> {
    const token = await this.token(leastMs).catch(() => null);
    if (this.timer !== mine) return;
    if (token) this.renew(token);
    else this.wait(backoffMs(++this.attempt), leastMs);
  }
}
