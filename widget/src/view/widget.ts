/** The launcher and the panel, wired to the chat. */

import type { Chat } from "../chat";
import { type State, unreadCount } from "../state";
import { openWithUnread, whoAnswers, words } from "../words";
import { Composer } from "./composer";
import { h, icon } from "./dom";
import { MessageList } from "./messages";
import { PassageSheet } from "./passage";

const OFFLINE_PATIENCE_MS = 2_500;

export class Widget {
  private readonly badge = h("span", { class: "badge", hidden: true, "aria-hidden": "true" });
  private readonly launcher = h(
    "button",
    { type: "button", class: "launcher", "aria-expanded": "false", "aria-controls": "panel", "aria-label": words.open },
    icon("chat"),
    icon("close"),
    this.badge,
  );
  private readonly title = h("h2", { id: "title" }, words.title);
  private readonly standing = h("p", { role: "status" });
  private readonly closeButton = h("button", { type: "button", class: "plain", "aria-label": words.close }, icon("close"));
  private readonly notice = h("p", { class: "notice", role: "status", hidden: true });
  private readonly messages: MessageList;
  private readonly composer: Composer;
  private readonly passage: PassageSheet;
  private readonly chatting: HTMLElement;
  private readonly panel: HTMLElement;
  private noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    root: ShadowRoot,
    private readonly chat: Chat,
  ) {
    this.messages = new MessageList({
      showPassage: (citation, opener) => this.passage.open(citation, opener),
      retry: (key) => chat.retry(key),
      discard: (key) => chat.discard(key),
    });
    this.composer = new Composer(
      (text) => chat.send(text),
      (isTyping) => chat.type(isTyping),
    );
    this.passage = new PassageSheet((isCovered) => (this.chatting.inert = isCovered));
    const header = h("div", { class: "head" }, h("div", { class: "who" }, this.title, this.standing), this.closeButton);
    this.chatting = h("div", { class: "chatting" }, header, this.notice, this.messages.element, this.composer.element);
    this.panel = h(
      "section",
      { id: "panel", class: "panel", role: "dialog", "aria-labelledby": "title", hidden: true },
      this.chatting,
      this.passage.element,
    );
    root.append(h("div", { class: "root" }, this.panel, this.launcher));
    this.listen();
    chat.store.subscribe((state) => this.show(state));
    this.show(chat.store.state());
  }

  private listen(): void {
    this.launcher.addEventListener("click", () => this.toggle(!this.chat.store.state().isOpen));
    this.closeButton.addEventListener("click", () => this.toggle(false));
    this.panel.addEventListener("keydown", (event) => this.pressed(event));
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState !== "visible") return this.chat.hidden();
      this.chat.hurry();
      this.markSeen();
    });
    if (document.visibilityState !== "visible") this.chat.hidden();
    addEventListener("online", () => this.chat.online());
  }

  private toggle(isOpen: boolean): void {
    if (isOpen) {
      this.chat.open();
      this.messages.scrollToEnd();
      this.composer.focus();
    } else {
      this.chat.close();
      this.launcher.focus();
    }
  }

  private pressed(event: KeyboardEvent): void {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    if (this.passage.isOpen) this.passage.close();
    else this.toggle(false);
  }

  private show(state: State): void {
    this.panel.hidden = !state.isOpen;
    this.launcher.setAttribute("aria-expanded", String(state.isOpen));
    const name = state.inbox?.name ?? words.title;
    if (this.title.textContent !== name) this.title.textContent = name;
    const who = whoAnswers(state);
    if (this.standing.textContent !== who) this.standing.textContent = who;
    if (state.isInboxMissing) this.composer.disable();
    this.messages.show(state);
    this.showNotice(state);
    this.markSeen();
    this.showUnread(this.chat.store.state());
  }

  /** A short blip is nobody's business; a longer one is said. */
  private showNotice(state: State): void {
    const isCut = state.hasConversation && state.connection !== "live" && state.connection !== "asleep";
    if (!isCut) {
      clearTimeout(this.noticeTimer);
      this.noticeTimer = undefined;
      this.notice.hidden = true;
      this.notice.textContent = "";
    } else {
      this.noticeTimer ??= setTimeout(() => {
        this.notice.textContent = words.offline;
        this.notice.hidden = false;
      }, OFFLINE_PATIENCE_MS);
    }
  }

  private showUnread(state: State): void {
    const count = unreadCount(state);
    this.badge.hidden = count === 0;
    this.badge.textContent = count > 9 ? "9+" : String(count);
    this.launcher.setAttribute("aria-label", state.isOpen ? words.close : openWithUnread(count));
  }

  private markSeen(): void {
    const state = this.chat.store.state();
    if (state.isOpen && document.visibilityState === "visible" && unreadCount(state) > 0) this.chat.seen();
  }
}
