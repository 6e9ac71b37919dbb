/** What survives a reload: the conversation's token, how far the customer has read, and what is not sent yet. */

export interface Remembered {
  conversationId: string;
  token: string;
}

export interface Memory {
  conversation(): Remembered | null;
  remember(conversation: Remembered | null): void;
  /** The key that makes beginning a conversation safe to repeat; a new one after each `remember`. */
  startKey(): string;
  readSeq(): number;
  saveReadSeq(seq: number): void;
  /** How far this browser has seen its conversation; a replica of the server never shows it less. */
  position(): string | null;
  keepPosition(position: string | null | undefined): void;
  /** When it was last noticed that no socket gets through; 0 when they do. */
  blockedAt(): number;
  saveBlockedAt(at: number | null): void;
  isOpen(): boolean;
  saveOpen(isOpen: boolean): void;
  unsent(): { key: string; text: string }[];
  saveUnsent(key: string, text: string | null): void;
  /** Hear that another tab began or forgot the conversation. */
  onOtherTab(listener: () => void): void;
}

/** Each unsent message has an entry of its own, so that two tabs never overwrite each other's. */
export function createMemory(storage: Storage, publicKey: string): Memory {
  const prefix = `dana:${publicKey}:`;
  const name = (what: string) => prefix + what;
  return {
    conversation: () => parse(storage.getItem(name("conversation"))),
    remember(conversation) {
      write(storage, name("start"), null);
      write(storage, name("conversation"), conversation && JSON.stringify(conversation));
    },
    startKey() {
      const key = storage.getItem(name("start")) ?? randomUuid();
      write(storage, name("start"), key);
      return key;
    },
    readSeq: () => Number(storage.getItem(name("read")) ?? 0),
    saveReadSeq: (seq) => write(storage, name("read"), String(seq)),
    position: () => storage.getItem(name("position")),
    keepPosition: (position) => {
      // A greater text is a later position.
      if (position && position > (storage.getItem(name("position")) ?? "")) write(storage, name("position"), position);
    },
    blockedAt: () => Number(storage.getItem(name("blocked")) ?? 0),
    saveBlockedAt: (at) => write(storage, name("blocked"), at === null ? null : String(at)),
    isOpen: () => storage.getItem(name("open")) === "1",
    saveOpen: (isOpen) => write(storage, name("open"), isOpen ? "1" : null),
    unsent: () =>
      Object.keys(storage)
        .filter((key) => key.startsWith(name("unsent:")))
        .toSorted()
        .map((key) => ({ key: key.slice(name("unsent:").length), text: storage.getItem(key) ?? "" })),
    saveUnsent: (key, text) => write(storage, name(`unsent:${key}`), text),
    onOtherTab: (listener) =>
      addEventListener("storage", (event) => {
        if (event.key === name("conversation")) listener();
      }),
  };
}

/** The browser's storage, or one for this page only where the browser forbids it. */
export function availableStorage(): Storage {
  try {
    localStorage.setItem("dana:probe", "1");
    localStorage.removeItem("dana:probe");
    return localStorage;
  } catch {
    return pageStorage();
  }
}

function pageStorage(): Storage {
  const store: Record<string, string> = {};
  const methods = {
    getItem: (key: string) => store[key] ?? null,
    setItem: (key: string, value: string) => void (store[key] = value),
    removeItem: (key: string) => void delete store[key],
  };
  return new Proxy(store, {
    get: (_target, key) => (methods as Record<string | symbol, unknown>)[key],
  }) as unknown as Storage;
}

function write(storage: Storage, key: string, value: string | null): void {
  try {
    if (value === null) storage.removeItem(key);
    else storage.setItem(key, value);
  } catch {
    // A full storage costs the resume after a reload, not the conversation.
  }
}

function parse(text: string | null): Remembered | null {
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as Partial<Remembered>;
    if (typeof value.conversationId !== "string" || typeof value.token !== "string") return null;
    return { conversationId: value.conversationId, token: value.token };
  } catch {
    return null;
  }
}

/** By hand, because `crypto.randomUUID` exists on secure pages only, and shops on plain http exist. */
function randomUuid(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
