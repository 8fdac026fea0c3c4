// What a bad link does to bytes on their way, for the proxies of this folder: delay, jitter, a narrow pipe, loss.
// The numbers can change while traffic flows. It knows no sockets.

export interface LinkFaults {
  /** Milliseconds each way. */
  latencyMs: number;
  /** Up to that many more, drawn anew each time. */
  jitterMs: number;
  /** Each way; 0 for no limit. */
  bytesPerSecond: number;
  /**
   * Share of packets that do not come, 0…1. Datagrams are gone; of a TCP connection nothing may be, so each lost packet
   * (of 1448 bytes) holds everything behind it for a retransmission of 200 ms, Linux's least.
   */
  loss: number;
  /** Share of datagrams that come twice. */
  duplicate: number;
  /** Nothing comes through, and nobody is told. */
  blackhole: boolean;
  /** New connections are reset. */
  refuse: boolean;
}

export const HEALTHY: LinkFaults = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: 0,
  loss: 0,
  duplicate: 0,
  blackhole: false,
  refuse: false,
};

export const SEGMENT_BYTES = 1448;
const RETRANSMISSION_MS = 200;

/** One direction of one connection: tells when bytes that leave now arrive. */
export class Lane {
  readonly #faults: LinkFaults;
  readonly #random: () => number;
  /** When the pipe is free again, and when what was sent last arrives. */
  #free = 0;
  #last = 0;

  /** @param faults read anew for every call */
  constructor(faults: LinkFaults, random: () => number) {
    this.#faults = faults;
    this.#random = random;
  }

  /** @returns when these bytes arrive, never before those that were sent earlier (performance.now()) */
  inOrder(bytes: number): number {
    const { loss } = this.#faults;
    let held = 0;
    for (let at = 0; at < bytes; at += SEGMENT_BYTES) if (this.#random() < loss) held += RETRANSMISSION_MS;
    this.#last = Math.max(this.#last, this.#through(bytes) + held);
    return this.#last;
  }

  /** @returns when each copy of a datagram arrives: none, one or two, in any order with others */
  unordered(bytes: number): number[] {
    const { loss, duplicate, blackhole } = this.#faults;
    const times = this.#random() < duplicate ? 2 : 1;
    const arrivals = Array.from({ length: times }, () => this.#through(bytes));
    return arrivals.filter(() => !blackhole && this.#random() >= loss);
  }

  #through(bytes: number): number {
    const { latencyMs, jitterMs, bytesPerSecond } = this.#faults;
    const now = performance.now();
    if (bytesPerSecond > 0) this.#free = Math.max(this.#free, now) + (bytes / bytesPerSecond) * 1000;
    return Math.max(now, bytesPerSecond > 0 ? this.#free : now) + latencyMs + this.#random() * jitterMs;
  }
}

/** A seeded generator (mulberry32), so that a run that failed can be made again. */
export function seeded(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
