import { createStore, useStore } from "@/platform/store";
import type { Presence, Present } from "./frames";

/** Who follows each channel now. Conversations that are not open any more stay until so many others were. */
const CHANNELS_KEPT = 100;

export type Lists = Readonly<Record<string, readonly Present[]>>;
export type PresenceState = Present["state"];

export const lists = createStore<Lists>({});

/** Apply one frame: pure. */
export function applyPresence(before: Lists, { channel, people }: Presence): Lists {
  const others = Object.entries(before).filter(([name]) => name !== channel);
  const oldest = others.length >= CHANNELS_KEPT ? others.findIndex(([name]) => name !== ORGANIZATION) : -1;
  return Object.fromEntries([...others.filter((_, index) => index !== oldest), [channel, people]]) as Lists;
}

/** Whether a member of the organization is at the console. */
export function usePresenceState(userId: string): PresenceState | null {
  return useStore(lists, (all) => all[ORGANIZATION]?.find(({ id, kind }) => kind === "member" && id === userId)?.state ?? null);
}

export function usePeople(channel: string): readonly Present[] {
  return useStore(lists, (all) => all[channel] ?? NOBODY);
}

const ORGANIZATION = "organization";
const NOBODY: readonly Present[] = [];
