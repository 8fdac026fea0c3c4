// Silence: notices that a link is dead though nobody closed it (a phone changed networks, a NAT forgot). While requests
// wait and nothing comes it asks for a pong, and when that stays out too it gives the link up. Idle links are left alone,
// unless they are to be checked.

/** Slower uplinks than this (0.2 Mbit/s) are not waited for; the requests go another way then. */
const SLOWEST_BYTES_PER_MS = 25;
const SHORTEST_MS = 500;

export interface SilenceHooks {
  /** Bytes that were sent for requests which still wait, and may stand in a queue before the ping. */
  unanswered(): number;
  /** Bytes not yet handed to the network; when they become fewer, the link lives. */
  buffered(): number;
  ping(): void;
  dead(): void;
}

export class Silence {
  readonly #hooks: SilenceHooks;
  #srtt: number;
  /** Bytes up and the milliseconds until their reply began, older ones fading: a cautious measure of the way up. */
  #bytes = 0;
  #ms = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Whether the silence began before a ping that is still unanswered. */
  #pinged = false;
  #pingedAt = 0;
  #buffered = 0;
  #due = 0;

  /** @param rtt first estimate in milliseconds */
  constructor(rtt: number, hooks: SilenceHooks) {
    this.#srtt = rtt;
    this.#hooks = hooks;
  }

  /** Smoothed round trip in milliseconds: RFC 6298, 2.3. */
  get srtt(): number {
    return this.#srtt;
  }

  /** Something was asked: from now on an answer is due. */
  watch(): void {
    if (this.#timer === undefined) this.#arm();
  }

  /** Something came. @param waiting whether more is due */
  heard(waiting: boolean): void {
    this.#pinged = false;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (waiting) this.#arm();
  }

  /** Asks at once, whether something is waited for or not: the page was away, or the network is another. */
  check(): void {
    if (this.#pinged) return;
    clearTimeout(this.#timer);
    this.#ping();
  }

  pong(): void {
    if (this.#pingedAt > 0) this.#srtt += (performance.now() - this.#pingedAt - this.#srtt) / 8;
    this.#pingedAt = 0;
  }

  answered(bytesUp: number, ms: number): void {
    this.#bytes = this.#bytes * 0.8 + bytesUp;
    this.#ms = this.#ms * 0.8 + ms;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #patience(): number {
    const rate = Math.max(SLOWEST_BYTES_PER_MS, this.#ms > 0 ? this.#bytes / this.#ms : 0);
    return Math.max(SHORTEST_MS, 4 * this.#srtt) + (2 * this.#hooks.unanswered()) / rate;
  }

  #arm(): void {
    this.#buffered = this.#hooks.buffered();
    const patience = this.#patience();
    this.#due = performance.now() + patience;
    this.#timer = setTimeout(() => this.#late(), patience);
  }

  #late(): void {
    this.#timer = undefined;
    // A page that was busy or asleep reads what came only after its timers; that is no silence of the other side.
    const slept = performance.now() - this.#due > 250;
    const moved = this.#hooks.buffered() < this.#buffered;
    if (slept || moved) this.#arm();
    else if (this.#pinged) this.#hooks.dead();
    else this.#ping();
  }

  #ping(): void {
    this.#pinged = true;
    this.#pingedAt = performance.now();
    this.#hooks.ping();
    this.#arm();
  }
}
