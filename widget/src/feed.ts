/** Turns frames of the socket into changes of the state, and lets drafts and typing fade when they go quiet. */

import type { Store } from "./store";
import type { Frame } from "./wire";

const TYPING_FADES_MS = 6_000;
const DRAFT_FADES_MS = 12_000;
const DONE_DRAFT_FADES_MS = 4_000;

type DraftFrame = Extract<Frame, { type: "ephemeral"; name: "draft" }>;
type Timer = ReturnType<typeof setTimeout> | undefined;

export class Feed {
  private typingTimer: Timer;
  private draftTimer: Timer;
  private assistantName = "";
  /** Frames that came while a gap was being filled by a fetch; shown earlier they would hide the gap. */
  private held: Frame[] | null = null;

  constructor(
    private readonly store: Store,
    private readonly fetchNews: () => Promise<boolean>,
    private readonly cut: () => void,
  ) {}

  receive(frame: Frame): void {
    if (frame.type === "hello") this.held = null;
    else if (this.held !== null) this.held.push(frame);
    else if (frame.type === "event") this.store.change({ type: "event", cursor: frame.cursor, event: frame.event });
    else if (frame.type === "heartbeat") this.store.change({ type: "caught_up", cursor: frame.cursor });
    else if (frame.type === "resync") void this.fillGap();
    else if (frame.type === "ephemeral") this.show(frame);
  }

  /** The server cannot replay from our cursor: fetch instead, and fail as a cut, so that it is tried again. */
  private async fillGap(): Promise<void> {
    const waiting: Frame[] = [];
    this.held = waiting;
    const hasWorked = await this.fetchNews();
    if (this.held !== waiting) return;
    this.held = null;
    if (!hasWorked) this.cut();
    else for (const frame of waiting) this.receive(frame);
  }

  private show(frame: Extract<Frame, { type: "ephemeral" }>): void {
    if (frame.name === "draft") this.showDraft(frame);
    else if (frame.name === "typing" && frame.who !== "customer") {
      if (frame.who === "assistant") this.assistantName = frame.author_name;
      this.showTyping(frame.is_typing ? frame.author_name : null);
    }
  }

  private showTyping(name: string | null): void {
    clearTimeout(this.typingTimer);
    this.store.change({ type: "typing", name });
    if (name === null) return;
    this.typingTimer = setTimeout(() => this.store.change({ type: "typing", name: null }), TYPING_FADES_MS);
  }

  private showDraft({ message_id: messageId, turn, text, done }: DraftFrame): void {
    clearTimeout(this.draftTimer);
    const end = () => this.store.change({ type: "draft_ended", messageId });
    // Done without a word: the assistant takes the draft back.
    if (done && text === "") return end();
    this.store.change({ type: "draft", draft: { messageId, turn, text, name: this.assistantName } });
    this.draftTimer = setTimeout(end, done ? DONE_DRAFT_FADES_MS : DRAFT_FADES_MS);
  }
}
