import type { Store } from "@/platform/store";
import type { LinkState } from "./connection";
import type { News, Saying } from "./frames";
import type { Neighbours, Want } from "./notes";

/** The connection as the leading tab uses it. */
export interface Line {
  readonly state: Store<LinkState>;
  start(): void;
  stop(): void;
  retryNow(): void;
  wake(): void;
  wentOffline(): void;
  follow(channels: Iterable<string>): void;
  setAway(isAway: boolean): void;
  say(saying: Saying): void;
}

export interface LineEars {
  cursor(): number;
  receive(frame: News): void;
}

/** What only the leading tab does: it has the connection, and wants of it what all tabs together want. */
export class Leading {
  readonly line: Line;
  private readonly neighbours: Neighbours;
  private readonly id: string;
  private readonly show: (link: LinkState) => void;
  private readonly all = new Map<string, Want>();
  private unwatch: () => void = () => undefined;

  constructor(line: Line, neighbours: Neighbours, id: string, show: (link: LinkState) => void) {
    this.line = line;
    this.neighbours = neighbours;
    this.id = id;
    this.show = show;
  }

  begin(): void {
    const tell = () => {
      const link = this.line.state.get();
      this.show(link);
      this.neighbours.post({ name: "link", link });
    };
    this.unwatch = this.line.state.subscribe(tell);
    this.neighbours.post({ name: "lead", tab: this.id });
    tell();
    this.line.start();
  }

  end(): void {
    this.unwatch();
    this.line.stop();
  }

  wants(want: Want): void {
    const isNew = !this.all.has(want.tab) && want.tab !== this.id;
    this.all.set(want.tab, want);
    if (isNew) this.neighbours.whenGone(want.tab, () => this.gone(want.tab));
    this.ask();
  }

  gone(tab: string): void {
    if (this.all.delete(tab)) this.ask();
  }

  private ask(): void {
    const wants = [...this.all.values()];
    this.line.follow(new Set(wants.flatMap(({ channels }) => channels)));
    this.line.setAway(!wants.some(({ isActive }) => isActive));
  }
}
