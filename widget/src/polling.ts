/** While there is no socket, ask now and then: proxies exist that let no WebSocket through. */

import { delayMs } from "./backoff";

const PATIENCE_MS = 3_000;
const INTERVAL_MS = 3_000;
const FAILING = { firstMs: 3_000, longestMs: 30_000 };

export class Polling {
  private timer: ReturnType<typeof setTimeout> | undefined;
  private round = 0;
  private failures = 0;

  /** `fetchNews` tells whether it worked; failures make the pauses longer. */
  constructor(
    private readonly fetchNews: () => Promise<boolean>,
    private readonly random: () => number,
  ) {}

  start(): void {
    if (this.timer !== undefined) return;
    this.round += 1;
    this.failures = 0;
    this.askIn(PATIENCE_MS, this.round);
  }

  stop(): void {
    this.round += 1;
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private askIn(delay: number, round: number): void {
    this.timer = setTimeout(() => void this.ask(round), delay);
  }

  private async ask(round: number): Promise<void> {
    const hasWorked = await this.fetchNews();
    if (round !== this.round) return;
    this.failures = hasWorked ? 0 : this.failures + 1;
    this.askIn(hasWorked ? INTERVAL_MS : delayMs(FAILING, this.failures, this.random), round);
  }
}
