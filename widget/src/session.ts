/** The conversation this browser takes part in: begun, resumed, fetched, listened to and, when it is gone, forgotten. */

import type { Answer, Api, Visitor } from "./api";
import { delayMs } from "./backoff";
import { Choice } from "./choice";
import { Connection } from "./connection";
import { Feed } from "./feed";
import { type Ears, type Kind, type Line, socketLine, streamLine } from "./line";
import type { Memory, Remembered } from "./memory";
import { Polling } from "./polling";
import type { Store } from "./store";
import type { Message } from "./wire";

const RESUME = { firstMs: 1_000, longestMs: 30_000 };
const PAGES_AT_MOST = 50;

export interface Surroundings {
  api: Api;
  memory: Memory;
  visitor: Visitor;
  realtimeUrl: string;
  openSocket: (url: string) => WebSocket;
  openStream: (url: string) => EventSource;
  random: () => number;
  /** Runs a task in one tab at a time, so that two tabs don't begin two conversations. */
  alone: <T>(task: () => Promise<T>) => Promise<T>;
}

export class Session {
  private current: Remembered | null = null;
  private attempt = 0;
  private isAsleep = false;
  private readonly polling: Polling;
  private readonly connection: Connection;

  constructor(
    private readonly around: Surroundings,
    private readonly store: Store,
    private readonly onReachable: () => void,
  ) {
    const feed = new Feed(store, () => this.fetchNews(), () => this.connection.cut());
    this.polling = new Polling(() => this.fetchNews(), around.random);
    this.connection = new Connection({
      choice: new Choice(around.memory),
      token: () => around.api.realtimeToken(this.current?.token ?? ""),
      open: (kind, token, ears) => this.open(kind, token, ears),
      cursor: () => store.state().cursor,
      random: around.random,
      onFrame: (frame) => {
        if ("position" in frame) this.around.memory.keepPosition(frame.position);
        feed.receive(frame);
      },
      onLive: (isLive) => this.noticeLive(isLive),
      onRefused: () => void this.fetchNews(),
      post: (frame) => around.api.typing(this.current?.token ?? "", frame),
    });
    around.memory.onOtherTab(() => this.followOtherTab());
  }

  resume(): void {
    const remembered = this.around.memory.conversation();
    if (remembered !== null) this.adopt(remembered);
  }

  /** Post into the conversation; the first message begins it. */
  async post(text: string, key: string): Promise<Answer<Message>> {
    let conversation = this.current;
    if (conversation === null) {
      const begun = await this.around.alone(() => this.begin());
      if (!begun.ok) return begun;
      conversation = begun.value;
    }
    return this.around.api.post(conversation.conversationId, conversation.token, text, key);
  }

  /** The server no longer knows this conversation or its token: the next message begins a new one. */
  forget(): void {
    const { memory } = this.around;
    if (this.current !== null && memory.conversation()?.token === this.current.token) memory.remember(null);
    memory.saveReadSeq(0);
    this.leave();
  }

  sendTyping(isTyping: boolean): void {
    if (this.current === null) return;
    this.connection.send({ type: "typing", conversation_id: this.current.conversationId, is_typing: isTyping });
  }

  hurry(): void {
    this.connection.hurry();
  }

  /** Nobody looks at the page: let the connection go. What is missed meanwhile comes with the cursor. */
  sleep(): void {
    if (this.isAsleep) return;
    this.isAsleep = true;
    this.connection.stop();
    this.polling.stop();
    if (this.current !== null) this.store.change({ type: "connection", connection: "asleep" });
  }

  wake(): void {
    if (!this.isAsleep) return;
    this.isAsleep = false;
    if (this.current === null) return;
    this.store.change({ type: "connection", connection: "connecting" });
    this.listen();
  }

  private async begin(): Promise<Answer<Remembered>> {
    const { api, memory, visitor } = this.around;
    const begunElsewhere = memory.conversation();
    if (begunElsewhere !== null) {
      this.adopt(begunElsewhere);
      return { ok: true, value: begunElsewhere };
    }
    const answer = await api.start(visitor, memory.startKey());
    if (!answer.ok) return answer;
    const conversation = { conversationId: answer.value.conversation_id, token: answer.value.token };
    memory.remember(conversation);
    this.adopt(conversation);
    return { ok: true, value: conversation };
  }

  private adopt(conversation: Remembered): void {
    this.current = conversation;
    this.store.change({ type: "started" });
    void this.catchUp(conversation);
  }

  /** Fetch what there is, then listen: the socket starts exactly where the fetch ended. */
  private async catchUp(conversation: Remembered): Promise<void> {
    const hasWorked = await this.fetchNews();
    if (this.current !== conversation) return;
    if (!hasWorked) {
      setTimeout(() => {
        if (this.current === conversation) void this.catchUp(conversation);
      }, delayMs(RESUME, this.attempt, this.around.random));
      this.attempt += 1;
      return;
    }
    this.attempt = 0;
    if (!this.isAsleep) this.listen();
    this.onReachable();
  }

  private listen(): void {
    this.connection.start();
    this.polling.start();
  }

  /** Fetch every message after the last one without a gap before it; false when that did not work. */
  private async fetchNews(): Promise<boolean> {
    const conversation = this.current;
    if (conversation === null) return true;
    let after = this.store.state().syncedSeq;
    for (let pages = 0; pages < PAGES_AT_MOST; pages += 1) {
      const answer = await this.around.api.page(conversation.conversationId, conversation.token, after);
      if (this.current !== conversation) return false;
      if (!answer.ok) {
        if (answer.failure.kind === "unknown") this.forget();
        return false;
      }
      const { items, next_cursor, cursor, conversation: standing } = answer.value;
      const isLast = next_cursor === null || items.length === 0;
      this.store.change({ type: "page", items, cursor: isLast ? cursor : null, standing });
      if (isLast) return true;
      after = items.at(-1)?.seq ?? after;
    }
    return true;
  }

  private open(kind: Kind, token: string, ears: Ears): Line {
    const { realtimeUrl, openSocket, openStream } = this.around;
    const query = new URLSearchParams({ token, cursor: String(this.store.state().cursor) });
    if (kind === "socket") return socketLine(openSocket(`${realtimeUrl.replace(/^http/, "ws")}?${query}`), ears);
    return streamLine(openStream(`${realtimeUrl}/stream?${query}`), ears);
  }

  private noticeLive(isLive: boolean): void {
    if (this.isAsleep) return;
    this.store.change({ type: "connection", connection: isLive ? "live" : "connecting" });
    if (isLive) {
      this.polling.stop();
      this.onReachable();
    } else if (this.current !== null) this.polling.start();
  }

  private followOtherTab(): void {
    const remembered = this.around.memory.conversation();
    if (remembered?.token === this.current?.token) return;
    if (this.current !== null) this.leave();
    if (remembered !== null) this.adopt(remembered);
  }

  private leave(): void {
    this.current = null;
    this.connection.stop();
    this.polling.stop();
    this.store.change({ type: "forgotten" });
  }
}
