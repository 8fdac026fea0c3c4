// All open links of a server: counted for metrics, told to go when it stops, and swept so that a dead or silent client
// holds nothing for ever. What a link does is serveLink.ts.
import type { LinkChannel } from './channel.ts';

/** What the sweep and the stop need of a link. */
export interface OpenLink {
  readonly transport: LinkChannel['transport'];
  /** Ends it when it was idle, or its client has not read, for too long. @param now performance.now() */
  sweep(now: number): void;
  goaway(): void;
  /** Cuts what still runs. */
  end(): void;
}

const SWEEP_MS = 5000;
const LAST_WORDS_MS = 500;

export class Links {
  readonly #open = new Set<OpenLink>();
  readonly #closing = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #emptied: (() => void)[] = [];

  add(link: OpenLink): void {
    this.#open.add(link);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** @param closed resolves when its channel has sent its last */
  delete(link: OpenLink, closed: Promise<void>): void {
    this.#open.delete(link);
    this.#closing.add(closed);
    void closed.finally(() => this.#closing.delete(closed));
    if (this.#open.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const resolve of this.#emptied.splice(0)) resolve();
  }

  /** Links that are open, all or those of one transport. */
  count(transport?: LinkChannel['transport']): number {
    if (transport === undefined) return this.#open.size;
    let n = 0;
    for (const link of this.#open) if (link.transport === transport) n++;
    return n;
  }

  /** Tells all clients that nothing new is taken; they close when they have what they wait for. */
  goaway(): void {
    for (const link of this.#open) link.goaway();
  }

  /** Gives clients `ms` to close by themselves, then ends what is left; their last words have gone out when it resolves. */
  async close(ms: number): Promise<void> {
    if (this.#open.size > 0) await within(ms, new Promise<void>((resolve) => this.#emptied.push(resolve)));
    for (const link of [...this.#open]) link.end();
    await within(LAST_WORDS_MS, Promise.all(this.#closing));
  }

  #sweep(): void {
    const now = performance.now();
    for (const link of [...this.#open]) link.sweep(now);
  }
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([patience, work]);
  clearTimeout(timer);
}
