import type { Neighbours, Note } from "./notes";

/** Tabs of an older page, still open after an upgrade, speak among themselves. */
const LANGUAGE = 1;

/** A name that no other tab has. */
export const tabId = Math.random().toString(36).slice(2) + Date.now().toString(36);

/** The tabs of this browser in which the same person works in the same organization. */
export function browserNeighbours(organizationId: string, userId: string): Neighbours {
  const name = `dana-live:${LANGUAGE}:${organizationId}:${userId}`;
  // Web Locks exist on secure pages only; without them each tab has a connection of its own.
  const { locks } = navigator as { locks?: LockManager };
  return locks && typeof BroadcastChannel !== "undefined" ? neighboursOf(name, locks) : alone();
}

function neighboursOf(name: string, locks: LockManager): Neighbours {
  const channel = new BroadcastChannel(name);
  const lifeOf = (tab: string) => `${name}:${tab}`;
  let office: Office | null = null;
  // Held for as long as this page lives: when it can be had, the page is gone.
  void locks.request(lifeOf(tabId), () => new Promise(() => undefined)).catch(() => undefined);
  return {
    post: (note) => channel.postMessage(note),
    listen(hear) {
      const listen = ({ data }: MessageEvent<Note>) => hear(data);
      channel.addEventListener("message", listen);
      return () => channel.removeEventListener("message", listen);
    },
    lead({ begin, lost }) {
      const mine = new Office(locks, name, begin, lost);
      office = mine;
      mine.stand(false);
      return () => mine.leave();
    },
    steal: () => office?.stand(true),
    whenGone(tab, call) {
      void locks.request(lifeOf(tab), call).catch(() => undefined);
    },
  };
}

/** The office of the leader, as a lock. */
class Office {
  private readonly locks: LockManager;
  private readonly name: string;
  private readonly begin: () => void;
  private readonly lost: () => void;
  private release: (() => void) | null = null;
  private standing = new AbortController();
  private hasLeft = false;

  constructor(locks: LockManager, name: string, begin: () => void, lost: () => void) {
    this.locks = locks;
    this.name = name;
    this.begin = begin;
    this.lost = lost;
  }

  stand(isByForce: boolean): void {
    this.standing.abort();
    this.standing = new AbortController();
    const options: LockOptions = isByForce ? { steal: true } : { signal: this.standing.signal };
    let isHeld = false;
    const hold = () => {
      isHeld = true;
      return this.hold();
    };
    this.locks.request(this.name, options, hold).catch(() => isHeld && this.wasTaken());
  }

  leave(): void {
    this.hasLeft = true;
    this.standing.abort();
    this.release?.();
  }

  private hold(): Promise<void> | undefined {
    if (this.hasLeft) return undefined;
    const held = new Promise<void>((resolve) => {
      this.release = resolve;
    });
    this.begin();
    return held;
  }

  private wasTaken(): void {
    if (this.hasLeft) return;
    this.release = null;
    this.lost();
    this.stand(false);
  }
}

function alone(): Neighbours {
  return {
    post: () => undefined,
    listen: () => () => undefined,
    lead({ begin }) {
      begin();
      return () => undefined;
    },
    steal: () => undefined,
    whenGone: () => undefined,
  };
}
