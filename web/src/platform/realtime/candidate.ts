import { TRY_SOCKET_AGAIN_MS } from "./choice";
import { readFrame } from "./frames";
import type { Ears, Wire } from "./wire";

const HELLO_WITHIN_MS = 10_000;

/** A socket that is tried beside a stream that works, and takes its place when the server greets over it. */
export class Candidate {
  private readonly open: (ears: Ears) => Promise<Wire>;
  private readonly replace: (wire: Wire, greeting: string) => Ears;
  private wire: Wire | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private round = 0;

  constructor(open: (ears: Ears) => Promise<Wire>, replace: (wire: Wire, greeting: string) => Ears) {
    this.open = open;
    this.replace = replace;
  }

  later(): void {
    this.stop();
    this.timer = setTimeout(() => void this.tryNow(), TRY_SOCKET_AGAIN_MS);
  }

  stop(): void {
    this.round++;
    clearTimeout(this.timer);
    const { wire } = this;
    this.wire = null;
    wire?.close();
  }

  private async tryNow(): Promise<void> {
    const round = this.round;
    let chosen: Ears | null = null;
    let wire: Wire | null = null;
    const ears: Ears = {
      heard: (text) => {
        if (chosen) chosen.heard(text);
        else if (wire && wire === this.wire && readFrame(text)?.type === "hello") {
          this.wire = null;
          chosen = this.replace(wire, text);
        }
      },
      ended: (code) => {
        if (chosen) chosen.ended(code);
        else if (wire && wire === this.wire) this.later();
      },
    };
    wire = await this.open(ears).catch(() => null);
    if (round !== this.round) return wire?.close();
    if (!wire) return this.later();
    this.wire = wire;
    this.timer = setTimeout(() => this.later(), HELLO_WITHIN_MS);
  }
}
