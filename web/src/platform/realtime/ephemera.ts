import { createStore } from "@/platform/store";
import type { DanaEvent, Draft, Ephemeral } from "./frames";

/** What is happening right now in each conversation and is never stored: who types, what the assistant drafts. */
export interface Activity {
  typing: Record<string, { who: "customer" | "agent" | "assistant"; name: string; until: number }>;
  draft: Draft | null;
  /** The newest turn whose draft ended here, so that a late piece of it doesn't come back. */
  endedTurn: number;
}

export type Activities = Record<string, Activity>;

/** A typing sign without news for this long is over; the typist repeats it more often than that. */
export const TYPING_SHOWN_MS = 6_000;

export const NO_ACTIVITY: Activity = { typing: {}, draft: null, endedTurn: -1 };

export const activities = createStore<Activities>({});

/** Apply one ephemeral frame: pure. */
export function applyEphemeral(before: Activities, frame: Ephemeral, now: number): Activities {
  const activity = before[frame.conversation_id] ?? NO_ACTIVITY;
  const after = frame.name === "draft" ? withDraft(activity, frame) : withTyping(activity, frame, now);
  return after === activity ? before : { ...before, [frame.conversation_id]: after };
}

/** Apply one durable event: a message ends its author's typing and the draft it came from; a person ends any draft. */
export function settle(before: Activities, event: DanaEvent): Activities {
  if (!("conversation" in event)) return before;
  const activity = before[event.conversation.id];
  if (!activity) return before;
  const isWritten = event.type === "message_appended" && event.message.author !== "system";
  const isPersonsNow = event.conversation.status !== "pending";
  if (!isWritten && !isPersonsNow) return before;
  const author = event.type === "message_appended" ? event.message.author : "assistant";
  const typing = Object.entries(activity.typing).filter(([, { who }]) => who !== author);
  const endsDraft = isPersonsNow || author === "assistant";
  const draft = endsDraft ? null : activity.draft;
  const endedTurn = endsDraft && activity.draft ? activity.draft.turn : activity.endedTurn;
  return { ...before, [event.conversation.id]: { typing: Object.fromEntries(typing), draft, endedTurn } };
}

/** Drop typing signs that have run out. */
export function expire(before: Activities, now: number): Activities {
  const isOver = ({ typing }: Activity) => Object.values(typing).some(({ until }) => until <= now);
  if (!Object.values(before).some(isOver)) return before;
  const swept = Object.entries(before).map(([id, activity]) => {
    const alive = Object.entries(activity.typing).filter(([, { until }]) => until > now);
    return [id, { ...activity, typing: Object.fromEntries(alive) }];
  });
  return Object.fromEntries(swept) as Activities;
}

function withDraft(activity: Activity, frame: Draft): Activity {
  if (frame.turn <= activity.endedTurn) return activity;
  if (activity.draft && frame.turn < activity.draft.turn) return activity;
  const isEmpty = frame.done && !frame.text;
  return { ...activity, draft: isEmpty ? null : frame, endedTurn: isEmpty ? frame.turn : activity.endedTurn };
}

function withTyping(activity: Activity, frame: Exclude<Ephemeral, Draft>, now: number): Activity {
  const key = `${frame.who}:${frame.author_name}`;
  const { [key]: mine, ...others } = activity.typing;
  if (!frame.is_typing) return mine ? { ...activity, typing: others } : activity;
  const sign = { who: frame.who, name: frame.author_name, until: now + TYPING_SHOWN_MS };
  return { ...activity, typing: { ...others, [key]: sign } };
}
