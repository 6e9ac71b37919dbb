/** What a customer can do: open and close the chat, write, try again, be seen typing. */

import { Delivery } from "./delivery";
import { Session, type Surroundings } from "./session";
import { createStore, type Store } from "./store";

const INBOX_RETRY_MS = 3_000;
const TYPING_EVERY_MS = 2_500;
/** Who only looks something up in another tab is back sooner. */
const SLEEPS_AFTER_MS = 30_000;

export class Chat {
  readonly store: Store;
  private readonly session: Session;
  private readonly delivery: Delivery;
  private typingSentAt = 0;
  private isTyping = false;
  private keysMade = 0;
  private sleepTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly around: Surroundings) {
    this.store = createStore(around.memory.readSeq());
    this.session = new Session(around, this.store, () => this.delivery.hurry());
    this.delivery = new Delivery({
      store: this.store,
      memory: around.memory,
      random: around.random,
      post: (item) => this.session.post(item.text, item.key),
      forget: () => this.session.forget(),
    });
  }

  /** Continue where an earlier page or visit stopped. */
  resume(): void {
    const { memory } = this.around;
    for (const { key, text } of memory.unsent()) this.store.change({ type: "queued", key, text });
    if (memory.conversation() !== null) this.session.resume();
    else this.delivery.hurry();
    if (memory.isOpen()) this.open();
  }

  open(): void {
    this.around.memory.saveOpen(true);
    this.store.change({ type: "opened" });
    void this.loadInbox();
  }

  close(): void {
    this.around.memory.saveOpen(false);
    this.store.change({ type: "closed" });
  }

  /** The customer has the messages before their eyes. */
  seen(): void {
    this.store.change({ type: "seen" });
    this.around.memory.saveReadSeq(this.store.state().readSeq);
  }

  send(text: string): void {
    this.type(false);
    this.delivery.enqueue(this.newKey(), text);
  }

  retry(key: string): void {
    this.delivery.retry(key);
  }

  discard(key: string): void {
    this.delivery.discard(key);
  }

  type(isTyping: boolean): void {
    const now = Date.now();
    const isNews = isTyping !== this.isTyping || (isTyping && now - this.typingSentAt >= TYPING_EVERY_MS);
    if (!isNews) return;
    this.isTyping = isTyping;
    this.typingSentAt = now;
    this.session.sendTyping(isTyping);
  }

  /** Nobody sees the page any more: sleep after a while, but not before everything written is sent. */
  hidden(): void {
    clearTimeout(this.sleepTimer);
    this.sleepTimer = setTimeout(() => {
      const isSent = this.store.state().outbox.every((item) => item.delivery === "failed");
      if (isSent) this.session.sleep();
      else this.hidden();
    }, SLEEPS_AFTER_MS);
  }

  /** The customer came back. */
  hurry(): void {
    clearTimeout(this.sleepTimer);
    this.session.wake();
    this.online();
  }

  /** The network came back; a page that sleeps goes on sleeping. */
  online(): void {
    this.session.hurry();
    this.delivery.hurry();
  }

  private async loadInbox(): Promise<void> {
    if (this.store.state().inbox !== null) return;
    const answer = await this.around.api.inbox();
    if (answer.ok) this.store.change({ type: "inbox_loaded", inbox: answer.value });
    else if (answer.failure.kind === "later") setTimeout(() => void this.loadInbox(), INBOX_RETRY_MS);
    else this.store.change({ type: "inbox_missing" });
  }

  /** Keys sort by time, so that messages left unsent keep their order over a reload. */
  private newKey(): string {
    this.keysMade += 1;
    const order = Date.now().toString(36) + this.keysMade.toString(36).padStart(3, "0");
    return `${order}-${[...crypto.getRandomValues(new Uint32Array(3))].map((part) => part.toString(36)).join("")}`;
  }
}
