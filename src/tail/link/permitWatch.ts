// Whether the token that a link was opened with still counts: it may end by itself, or the rules of the gate change. Asked
// by a timer at its end, at each sweep and before each request; what the link does then is serveLink.ts.
import type { Gate, Permit } from '../operate/gate.ts';

/** Requests that cross the goaway are still answered, with the reason. */
const LINGER_MS = 1000;
/** Timers take no more than 24 days. */
const LONGEST_MS = 2 ** 31 - 1;

export interface PermitEvents {
  /** It does not count any more; once. */
  ended(): void;
  /** A moment later: nothing that is on its way comes as a surprise now. */
  lingered(): void;
}

export class PermitWatch {
  readonly #gate: Gate;
  readonly #events: PermitEvents;
  #permit: Permit | undefined;
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #lingered = false;

  constructor(gate: Gate, events: PermitEvents) {
    this.#gate = gate;
    this.#events = events;
  }

  get subject(): string {
    return this.#permit?.subject ?? '';
  }

  /** True once the permit counts no more. */
  get over(): boolean {
    return this.#over;
  }

  /** True once requests that crossed the goaway have had their time. */
  get lingered(): boolean {
    return this.#lingered;
  }

  begin(permit: Permit): void {
    this.#permit = permit;
    if (permit.until === undefined) return;
    const ms = Math.min(permit.until - Date.now() + 1, LONGEST_MS); // a moment later, so that it has passed by then
    this.#timer = setTimeout(() => this.review(), ms).unref();
  }

  review(): void {
    if (!this.#permit || this.#over || this.#gate.holds?.(this.#permit) !== false) return;
    this.#over = true;
    this.stop();
    this.#timer = setTimeout(() => {
      this.#lingered = true;
      this.#events.lingered();
    }, LINGER_MS).unref();
    this.#events.ended();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}
