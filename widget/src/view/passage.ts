/** A sheet over the chat with the passage that an answer quotes. */

import type { Citation } from "../wire";
import { words } from "../words";
import { h, icon, marked } from "./dom";

export class PassageSheet {
  private readonly back = h("button", { type: "button", class: "plain", "aria-label": words.back }, icon("back"));
  private readonly title = h("h3", { id: "passage-title" });
  private readonly body = h("div", { class: "passage-body", tabindex: "0", role: "region", "aria-labelledby": "passage-title" });
  readonly element = h(
    "section",
    { class: "passage", role: "dialog", "aria-labelledby": "passage-title", hidden: true },
    h("div", { class: "head" }, this.back, h("div", {}, h("p", {}, words.passageFrom), this.title)),
    this.body,
  );
  private opener: HTMLElement | null = null;

  /** `cover` hides what lies below from the keyboard and from screen readers while the sheet is open. */
  constructor(private readonly cover: (isCovered: boolean) => void) {
    this.back.addEventListener("click", () => this.close());
  }

  get isOpen(): boolean {
    return !this.element.hidden;
  }

  open(citation: Citation, opener: HTMLElement): void {
    this.opener = opener;
    this.title.textContent = citation.title;
    this.body.replaceChildren(...marked(citation.passage, citation.quote ?? ""));
    this.element.hidden = false;
    this.cover(true);
    this.back.focus();
    this.body.querySelector("mark")?.scrollIntoView({ block: "center" });
  }

  close(): void {
    this.element.hidden = true;
    this.cover(false);
    this.opener?.focus();
  }
}
