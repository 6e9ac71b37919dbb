/**
 * Sends what the customer wrote: one at a time, in order, as often as it takes.
 * The key of a message stays the same over every attempt, so that the server stores it once.
 */

import type { Answer, Failure } from "./api";
import { delayMs } from "./backoff";
import type { Memory } from "./memory";
import type { Outgoing } from "./state";
import type { Store } from "./store";
import type { Message } from "./wire";

const RETRY = { firstMs: 1_000, longestMs: 30_000 };
const NOT_AVAILABLE = "This chat is not available any more.";
const NOT_ACCEPTED = "This message was not accepted.";
/** How often a message may find its conversation unknown before it is given up. */
const LOST_LIMIT = 2;

export interface DeliveryOptions {
  store: Store;
  memory: Memory;
  random: () => number;
  /** Posts into the current conversation, which it begins if there is none. */
  post: (item: Outgoing) => Promise<Answer<Message>>;
  forget: () => void;
}

export class Delivery {
  private isDelivering = false;
  private attempt = 0;
  private lost = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly options: DeliveryOptions) {}

  enqueue(key: string, text: string): void {
    this.options.memory.saveUnsent(key, text);
    this.options.store.change({ type: "queued", key, text });
    void this.deliver();
  }

  retry(key: string): void {
    this.lost = 0;
    this.options.store.change({ type: "delivery", key, delivery: "waiting" });
    void this.deliver();
  }

  discard(key: string): void {
    this.options.memory.saveUnsent(key, null);
    this.options.store.change({ type: "discarded", key });
  }

  hurry(): void {
    this.attempt = 0;
    void this.deliver();
  }

  private async deliver(): Promise<void> {
    if (this.isDelivering) return;
    this.isDelivering = true;
    clearTimeout(this.timer);
    try {
      while (await this.deliverNext());
    } finally {
      this.isDelivering = false;
    }
  }

  /** Send the oldest; true when the next one may follow at once. */
  private async deliverNext(): Promise<boolean> {
    const { store, memory, post } = this.options;
    const item = store.state().outbox.find((candidate) => candidate.delivery !== "failed");
    if (item === undefined) return false;
    store.change({ type: "delivery", key: item.key, delivery: "sending" });
    const answer = await post(item);
    if (!answer.ok) return this.fail(item, answer.failure);
    this.attempt = 0;
    this.lost = 0;
    memory.saveUnsent(item.key, null);
    store.change({ type: "sent", key: item.key, message: answer.value });
    return true;
  }

  private fail(item: Outgoing, failure: Failure): boolean {
    const { store, random, forget } = this.options;
    if (failure.kind === "later") {
      store.change({ type: "delivery", key: item.key, delivery: "waiting" });
      const waitMs = Math.max(delayMs(RETRY, this.attempt, random), failure.afterSeconds * 1_000);
      this.timer = setTimeout(() => void this.deliver(), waitMs);
      this.attempt += 1;
      return false;
    }
    if (failure.kind === "unknown" && this.lost < LOST_LIMIT) {
      this.lost += 1;
      forget();
      return true;
    }
    const reason = failure.kind === "refused" ? failure.reason || NOT_ACCEPTED : NOT_AVAILABLE;
    store.change({ type: "delivery", key: item.key, delivery: "failed", reason });
    return true;
  }
}
