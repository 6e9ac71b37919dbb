/** The conversation as it is read: messages, what is being sent, what is being written. */

import { type Draft, type Outgoing, type State, visibleOutbox } from "../state";
import type { Citation, Message } from "../wire";
import { isTyping, timeOf, words } from "../words";
import { h, icon, linked } from "./dom";

export interface MessageActions {
  showPassage(citation: Citation, opener: HTMLElement): void;
  retry(key: string): void;
  discard(key: string): void;
}

/** The list keeps the elements it has: what did not change is not drawn again, so focus and selection stay. */
export class MessageList {
  readonly element = h("div", { class: "log", role: "log", "aria-label": words.messages, tabindex: "0" });
  private readonly greeting = h("div", { class: "slot" });
  private readonly list = h("ol", {});
  private readonly sending = h("ol", { class: "sending" });
  private readonly draft = h("div", { class: "slot", "aria-live": "off" });
  private readonly typing = h("div", { class: "slot", role: "status" });
  private readonly drawn = new Map<string, HTMLElement>();
  private last: State | null = null;

  constructor(private readonly actions: MessageActions) {
    this.element.append(this.greeting, this.list, this.sending, this.draft, this.typing);
  }

  show(state: State): void {
    const last = this.last;
    const wasAtEnd = this.isAtEnd();
    const wasEmpty = this.drawn.size === 0;
    this.last = state;
    if (last?.messages !== state.messages) this.showMessages(state.messages);
    if (last?.inbox !== state.inbox) this.showGreeting(state);
    if (last?.messages !== state.messages || last.outbox !== state.outbox) this.showOutbox(visibleOutbox(state));
    if (last?.draft !== state.draft) this.showDraft(state.draft);
    if (last?.typingName !== state.typingName || last.draft !== state.draft) this.showTyping(state);
    if (wasAtEnd || wasEmpty || hasGrown(last, state)) this.scrollToEnd();
  }

  scrollToEnd(): void {
    this.element.scrollTop = this.element.scrollHeight;
  }

  private isAtEnd(): boolean {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    return scrollHeight - scrollTop - clientHeight < 60;
  }

  private showMessages(messages: readonly Message[]): void {
    const kept = new Set(messages.map((message) => message.id));
    for (const [id, element] of this.drawn) {
      if (kept.has(id)) continue;
      element.remove();
      this.drawn.delete(id);
    }
    let before: Element | null = this.list.firstElementChild;
    let previous: Message | null = null;
    for (const message of messages) {
      const element = this.drawn.get(message.id) ?? this.drawMessage(message, previous);
      if (element === before) before = before.nextElementSibling;
      else this.list.insertBefore(element, before);
      previous = message;
    }
  }

  private drawMessage(message: Message, previous: Message | null): HTMLElement {
    const element = h("li", { class: `message ${message.author}`, "data-seq": String(message.seq) });
    if (message.author === "system") element.append(h("p", { class: "activity" }, message.text));
    else {
      const isSameAuthor = previous?.author === message.author && previous.author_name === message.author_name;
      element.append(isSameAuthor ? h("span", { class: "quiet" }, nameOf(message)) : byline(message));
      element.append(h("div", { class: "bubble" }, ...linked(message.text)));
      if (message.citations?.length) element.append(this.sources(message.citations));
    }
    this.drawn.set(message.id, element);
    return element;
  }

  private sources(citations: readonly Citation[]): HTMLElement {
    const buttons = citations.map((citation) => {
      const button = h("button", { type: "button", class: "source", title: words.showSource }, icon("source"), citation.title);
      button.addEventListener("click", () => this.actions.showPassage(citation, button));
      return h("li", {}, button);
    });
    return h("ul", { class: "sources", "aria-label": words.sources }, ...buttons);
  }

  /** What the inbox greets with; it is no message of the conversation and stands above them all. */
  private showGreeting({ inbox }: State): void {
    const text = inbox?.greeting ?? "";
    if (text === "") this.greeting.replaceChildren();
    else this.greeting.replaceChildren(h("div", { class: "message assistant" }, h("div", { class: "bubble" }, ...linked(text))));
  }

  private showOutbox(outbox: readonly Outgoing[]): void {
    this.sending.replaceChildren(...outbox.map((item) => this.drawOutgoing(item)));
  }

  private drawOutgoing(item: Outgoing): HTMLElement {
    const bubble = h("div", { class: "bubble" }, ...linked(item.text));
    const element = h("li", { class: `message customer ${item.delivery}` }, bubble);
    if (item.delivery === "failed") {
      const retry = h("button", { type: "button", click: () => this.actions.retry(item.key) }, words.retry);
      const discard = h("button", { type: "button", click: () => this.actions.discard(item.key) }, words.discard);
      element.append(h("p", { class: "delivery", role: "alert" }, `${words.failed} ${item.reason} `, retry, " ", discard));
    } else element.append(h("p", { class: "delivery" }, item.delivery === "sending" ? words.sending : words.waiting));
    return element;
  }

  private showDraft(draft: Draft | null): void {
    const bubble = this.draft.querySelector(".bubble");
    if (draft === null) this.draft.replaceChildren();
    else if (bubble) bubble.textContent = draft.text;
    else {
      const name = h("p", { class: "byline" }, avatar("assistant", ""), draft.name || words.assistant);
      this.draft.replaceChildren(h("div", { class: "message assistant draft" }, name, h("div", { class: "bubble" }, draft.text)));
    }
  }

  private showTyping({ typingName, draft }: State): void {
    if (typingName === null || draft !== null) {
      this.typing.replaceChildren();
      return;
    }
    const dots = h("span", { class: "dots", "aria-hidden": "true" }, h("i"), h("i"), h("i"));
    this.typing.replaceChildren(h("p", { class: "typing" }, dots, isTyping(typingName)));
  }
}

function hasGrown(before: State | null, after: State): boolean {
  return before !== null && after.outbox.length > before.outbox.length;
}

function nameOf(message: Message): string {
  if (message.author === "customer") return words.you;
  return message.author_name || (message.author === "assistant" ? words.assistant : "");
}

function byline(message: Message): HTMLElement {
  const time = h("time", { datetime: message.created_at }, timeOf(message.created_at));
  if (message.author === "customer") return h("p", { class: "byline" }, h("span", { class: "quiet" }, words.you), time);
  return h("p", { class: "byline" }, avatar(message.author, nameOf(message)), nameOf(message), time);
}

function avatar(author: Message["author"], name: string): HTMLElement {
  const initial = name.trim().slice(0, 1).toUpperCase();
  return h("span", { class: "avatar", "aria-hidden": "true" }, author === "assistant" ? icon("spark") : initial);
}
