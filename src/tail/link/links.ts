// All open links of a server: bounded in number, counted for metrics, told to go when it stops, and swept so that a dead or silent client
// holds nothing for ever. What a link does is serveLink.ts.
import { IsthmusError } from '../../errors.ts';
import { limitKey } from '../operate/clientAddress.ts';
import type { LinkChannel } from './channel.ts';

/** What the sweep and the stop need of a link. */
export interface OpenLink {
  readonly transport: LinkChannel['transport'];
  readonly channel: Pick<LinkChannel, 'address'>;
  /** Ends it when it was idle, or its client has not read, for too long. @param now performance.now() */
  sweep(now: number): void;
  goaway(): void;
  /** Looks whether its token still counts. */
  review(): void;
  /** Cuts what still runs. */
  end(): void;
}

const SWEEP_MS = 5000;
const LAST_WORDS_MS = 500;
const MOST_LINKS = 2048;
const MOST_OF_ONE_ADDRESS = 256;
/** Seconds after which a refused client may come back. */
const COME_BACK = 5;

export interface LinkCounts {
  /** Links that may be open, default 2048. */
  most?: number | undefined;
  /** And of one address (an IPv6 network of 64 bits), default 256. */
  perAddress?: number | undefined;
}

export class Links {
  readonly #open = new Set<OpenLink>();
  /** Places that are taken: open links, and handshakes that have not become one. */
  readonly #taken = new Map<string, number>();
  #total = 0;
  readonly #most: number;
  readonly #perAddress: number;
  readonly #places = new Map<OpenLink, () => void>();
  readonly #closing = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;
  #emptied: (() => void)[] = [];

  constructor({ most = MOST_LINKS, perAddress = MOST_OF_ONE_ADDRESS }: LinkCounts = {}) {
    this.#most = most;
    this.#perAddress = perAddress;
  }

  /** Why a client of this address may open no link now; undefined when it may. */
  full(address: string): IsthmusError | undefined {
    if (this.#total >= this.#most) return tooMany('This tail has as many open links as it may have.');
    if ((this.#taken.get(limitKey(address)) ?? 0) < this.#perAddress) return undefined;
    return tooMany('Your address has as many open links as one may have. Use one link for many requests.');
  }

  /** Takes the place of a link that is about to open. @returns what gives it back; twice is once */
  take(address: string): () => void {
    const key = limitKey(address);
    let given = false;
    this.#total++;
    this.#taken.set(key, (this.#taken.get(key) ?? 0) + 1);
    return () => {
      if (given) return;
      given = true;
      this.#total--;
      const left = this.#taken.get(key)! - 1;
      if (left > 0) this.#taken.set(key, left);
      else this.#taken.delete(key);
    };
  }

  add(link: OpenLink): void {
    this.#open.add(link);
    this.#places.set(link, this.take(link.channel.address));
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** @param closed resolves when its channel has sent its last */
  delete(link: OpenLink, closed: Promise<void>): void {
    this.#open.delete(link);
    this.#places.get(link)?.();
    this.#places.delete(link);
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

  /** The rules of the gate have changed: links whose token does not count any more are ended. */
  review(): void {
    for (const link of [...this.#open]) link.review();
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

function tooMany(reason: string): IsthmusError {
  return new IsthmusError('OVERLOADED', `${reason} Try again in a few seconds, or over HTTP.`, {
    retryAfter: COME_BACK,
  });
}

async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([patience, work]);
  clearTimeout(timer);
}
