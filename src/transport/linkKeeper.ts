// Keeps one link to a tail open: finds out what it offers, races the kinds, remembers the winner, and opens another link
// when one ended, at once when somebody waits and ever more rarely when nobody does. It sends no requests.
import { IsthmusError } from '../errors.ts';
import { whenAwake } from './awake.ts';
import type { DatagramUse } from './datagramSender.ts';
import { discoverLinks, fetchTicket, type LinkOffer } from './discovery.ts';
import type { Link } from './link.ts';
import { openLink } from './openLink.ts';
import { type Runner, race } from './race.ts';
import type { LinkKind, TokenSource } from './transport.ts';
import { hasWebSocket, webSocketChannel } from './websocket.ts';
import { platformWebTransport, type WebTransportClass, webTransportChannel } from './webtransport.ts';
import { byPromise, noteFailure, noteWin } from './winners.ts';

export interface LinkKeeperOptions {
  /** `https://host`, with a path prefix where there is one, no slash at the end. */
  base: string;
  token?: TokenSource | undefined;
  /** Default: both. */
  kinds?: readonly LinkKind[];
  datagrams?: DatagramUse;
  /** Where the platform has none, as Node. */
  webTransport?: WebTransportClass | undefined;
}

/** What the second kind waits for the first. */
const HEAD_START_MS = 300;
/** Browsers are known whose `ready` never settles. */
const WEBTRANSPORT_CAP_MS = 1500;
const FIRST_CAP_MS = 10_000;
/** When a link was open before, the tail is expected to be quick again, and a second attempt is made beside a hanging one. */
const AGAIN_CAP_MS = 2500;
const SECOND_ATTEMPT_MS = 1000;
const UNUSED_MS = 60_000;
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

export class LinkKeeper {
  readonly #options: LinkKeeperOptions;
  /** That may be tried. */
  readonly kinds: readonly LinkKind[];
  readonly #closing = new AbortController();
  #offer: LinkOffer | undefined;
  #link: Link | undefined;
  #opening: Promise<Link> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #pause = SHORTEST_PAUSE_MS;
  /** Milliseconds that the last successful opening took. */
  #took = 0;
  #lastTry = Number.NEGATIVE_INFINITY;
  /** When a tail that had no link of our kinds is worth asking again: it may have been updated, or its gateway. */
  #askAgain = 0;
  #unwatch: (() => void) | undefined;
  /** Told of every link that opens. */
  onOpen: (link: Link) => void = () => undefined;
  /** Whether requests whose link broke wait just now. */
  wanted: () => boolean = () => false;

  constructor(options: LinkKeeperOptions) {
    this.#options = options;
    this.kinds = options.kinds ?? ['webtransport', 'websocket'];
  }

  /** The link to use now, if one is open. */
  get link(): Link | undefined {
    return this.#link?.accepting ? this.#link : undefined;
  }

  /** The tail has said a short while ago that it has no link of our kinds. */
  get none(): boolean {
    return this.#refused && performance.now() < this.#askAgain;
  }

  get #refused(): boolean {
    return this.#offer !== undefined && this.#kinds(this.#offer).length === 0;
  }

  /** Begins to open a link, unless one is open or being opened. */
  start(): void {
    this.open().catch(() => undefined);
  }

  /** A link would be used: begins to open one, unless the next attempt has its time already. */
  nudge(): void {
    if (!this.none && this.#timer === undefined) this.start();
  }

  /** @throws IsthmusError OFFLINE when no kind works; what the tail refused with */
  open(): Promise<Link> {
    if (this.#closing.signal.aborted) return Promise.reject(closed());
    if (this.link) return Promise.resolve(this.link);
    this.#unwatch ??= whenAwake(() => this.#awake());
    this.#after(undefined);
    this.#lastTry = performance.now();
    this.#opening ??= this.#open()
      .then(
        (link) => {
          this.#pause = SHORTEST_PAUSE_MS;
          this.#link = link;
          if (link.accepting) this.onOpen(link);
          else this.#again(); // it ended before anybody could use it
          return link;
        },
        (thrown) => {
          if (this.#closing.signal.aborted) throw closed();
          if (!this.#refused) {
            this.#offer = undefined; // a tail that was restarted may have another certificate
            this.#again();
          }
          throw thrown;
        },
      )
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  /** Somebody waits, or things have changed: opens at once if the last attempt is over and a while ago. */
  hurry(): void {
    if (this.none || this.link || this.#opening || this.#closing.signal.aborted) return;
    const pause = SHORTEST_PAUSE_MS - (performance.now() - this.#lastTry);
    if (pause <= 0) this.start();
    else this.#after(pause);
  }

  /** What was true before may be so no more: of an open link too, which nobody may have used since. */
  #awake(): void {
    this.#askAgain = 0;
    this.#pause = SHORTEST_PAUSE_MS; // the network may need a moment more
    this.#link?.check();
    this.hurry();
  }

  close(): void {
    this.#closing.abort(closed());
    this.#after(undefined);
    this.#unwatch?.();
    this.#link?.close();
  }

  async #open(): Promise<Link> {
    const { base, token, webTransport } = this.#options;
    const { signal } = this.#closing;
    const capMs = this.#took > 0 ? Math.max(AGAIN_CAP_MS, 3 * this.#took) : FIRST_CAP_MS;
    if (this.#refused && !this.none) this.#offer = undefined;
    const asked = this.#offer === undefined;
    // A question that a dead network swallows may hang for minutes, and nothing else opens meanwhile.
    const ask: Runner<LinkOffer> = { after: 0, capMs, open: (stop) => discoverLinks(base, token, stop) };
    this.#offer ??= await race([ask], () => undefined, signal).catch((thrown: unknown) => {
      throw IsthmusError.from(
        thrown,
        'OFFLINE',
        `The tail at ${base} does not say which links it has; try again.`,
      );
    });
    const offer = this.#offer;
    const kinds = this.#kinds(offer);
    if (kinds.length === 0) {
      if (asked) this.#askAgain = performance.now() + this.#nextPause();
      throw this.#impossible(offer);
    }
    const tail = `${new URL(base).origin} ${offer.webtransport?.certificateHashes?.[0] ?? ''}`;
    const began = performance.now();
    const runners = byPromise(tail, kinds).map((kind, place): Runner<Link> => {
      const Class = webTransport ?? platformWebTransport();
      return {
        after: place * HEAD_START_MS,
        capMs: kind === 'webtransport' ? WEBTRANSPORT_CAP_MS : capMs,
        open: async (stop) => {
          const ticket =
            offer.ticket || token !== undefined ? await fetchTicket(base, token, stop) : undefined;
          const channel =
            kind === 'webtransport'
              ? webTransportChannel(offer.webtransport!, Class!)
              : webSocketChannel(offer.websocket!);
          return openLink(
            channel,
            {
              hello: { version: 1, ...(ticket !== undefined && { ticket }) },
              datagrams: this.#options.datagrams ?? 'auto',
              onEnd: () => this.#ended(),
            },
            stop,
          );
        },
        failed: () => noteFailure(tail, kind),
      };
    });
    const late = (runner: Runner<Link>) => ({ ...runner, after: runner.after + SECOND_ATTEMPT_MS });
    const all = this.#took > 0 ? [...runners, ...runners.map(late)] : runners;
    const link = await race(all, (loser) => loser.close(), signal).catch((thrown: unknown) => {
      throw IsthmusError.from(thrown, 'OFFLINE', `No link to ${base} could be opened; try again.`);
    });
    this.#took = performance.now() - began;
    noteWin(tail, link.kind);
    return link;
  }

  #kinds(offer: LinkOffer): LinkKind[] {
    const { webTransport } = this.#options;
    return this.kinds.filter((kind) =>
      kind === 'webtransport'
        ? offer.webtransport && (webTransport ?? platformWebTransport())
        : offer.websocket && hasWebSocket(),
    );
  }

  /** A link that was ours has ended; one that lost the race is none of our business. */
  #ended(): void {
    if (this.#closing.signal.aborted || !this.#link || this.#link.accepting) return;
    const unused = performance.now() - this.#link.usedAt;
    this.#link = undefined;
    // Tails close links that nobody uses; the next request opens another.
    if (unused > UNUSED_MS && !this.wanted()) return;
    if (performance.now() - this.#lastTry > SHORTEST_PAUSE_MS) this.start();
    else this.#again(); // opened and dead within a second: not in a circle
  }

  #again(): void {
    this.#after(this.#nextPause());
  }

  #nextPause(): number {
    const pause = this.wanted() ? SHORTEST_PAUSE_MS : this.#pause;
    this.#pause = Math.min(LONGEST_PAUSE_MS, 2 * this.#pause);
    return pause * (0.75 + Math.random() / 2);
  }

  #after(ms: number | undefined): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (ms === undefined || this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => this.start(), ms);
    // In Node a program that has nothing else to do shall end.
    (this.#timer as { unref?: () => void }).unref?.();
  }

  #impossible(offer: LinkOffer): IsthmusError {
    const { base } = this.#options;
    const wanted = this.kinds.join(' or ');
    const offered = [offer.webtransport && 'webtransport', offer.websocket && 'websocket'].filter(Boolean);
    const what =
      offered.length === 0
        ? `the tail at ${base} offers no links (WebTransport needs a certificate there)`
        : `the tail at ${base} offers ${offered.join(' and ')}, and this platform cannot use that or was not asked to`;
    return new IsthmusError(
      'OFFLINE',
      `No ${wanted} is possible: ${what}. Use transport: 'auto' or 'fetch'.`,
    );
  }
}

const closed = () => new IsthmusError('CLOSED', 'The session is closed. Connect again.');
