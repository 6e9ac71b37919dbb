/** Where the customer writes: Enter sends, Shift+Enter breaks the line, the box grows with the text. */

import { words } from "../words";
import { h, icon } from "./dom";

const TEXT_LIMIT = 10_000;
const TALLEST_PX = 140;
const TYPING_ENDS_MS = 4_000;

export class Composer {
  private readonly text = h("textarea", {
    rows: "1",
    maxlength: String(TEXT_LIMIT),
    placeholder: words.write,
    "aria-label": words.write,
    enterkeyhint: "send",
  });
  private readonly button = h("button", { type: "submit", class: "send", "aria-label": words.send }, icon("send"));
  readonly element = h("form", { class: "composer" }, this.text, this.button);
  private typingTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly send: (text: string) => void,
    private readonly type: (isTyping: boolean) => void,
  ) {
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("blur", () => this.type(false));
    this.text.addEventListener("keydown", (event) => this.pressed(event));
    this.changed();
  }

  focus(): void {
    this.text.focus();
  }

  disable(): void {
    this.text.disabled = true;
    this.button.disabled = true;
  }

  /** Enter sends, but never while an input method is composing a word. */
  private pressed(event: KeyboardEvent): void {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.submit();
  }

  private submit(): void {
    const text = this.text.value.replaceAll("\0", "").trim();
    if (text === "") return;
    this.text.value = "";
    this.changed();
    this.send(text);
    this.text.focus();
  }

  private changed(): void {
    const hasText = this.text.value.trim() !== "";
    this.button.classList.toggle("ready", hasText);
    this.text.style.height = "auto";
    if (hasText) this.text.style.height = `${Math.min(this.text.scrollHeight, TALLEST_PX)}px`;
    clearTimeout(this.typingTimer);
    this.type(hasText);
    if (hasText) this.typingTimer = setTimeout(() => this.type(false), TYPING_ENDS_MS);
  }
}
