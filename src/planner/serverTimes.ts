// What the server needs: waiting for it, decoding, and the segments behind a cut. Learned from what replies report;
// what was not asked of it yet is scaled by work.
import type { Candidate } from './candidates.ts';
import { StageTimes } from './stageTimes.ts';
import type { Work } from './work.ts';

/** Stages that a reply reports, milliseconds. */
export interface ServerSample {
  decode?: number | undefined;
  queue?: number | undefined;
  tail?: number | undefined;
}

/** Milliseconds per million multiply-accumulates before anything was measured: 20 GMAC/s. */
const FIRST_MS_PER_WORK = 0.05;
const FIRST_DECODE_MS = 1;
/** First runs compile: what was measured once or twice may be so much less in truth. */
const YOUNG = 0.3;
/** And what is scaled from others so much. */
const SCALED = 0.9;
/** A server that takes so many times as long as once is under load, and a fast answer tells that it is over. */
const LOADED = 1.5;

export class ServerTimes {
  readonly #work: Work;
  readonly #times = new StageTimes();
  #queue = 0;
  #late: number | undefined;
  /** Whether a tail was measured often enough to tell what others should take. */
  #known = false;

  constructor(work: Work) {
    this.#work = work;
  }

  get queueMs(): number {
    return this.#queue;
  }

  get slowness(): number {
    return this.#times.slowness;
  }

  /** @returns milliseconds at the server, 0 for what runs here alone */
  predict(candidate: Candidate): number {
    if (candidate.plan === 'local') return 0;
    const decode = this.#times.get(`decode:${candidate.id}`) ?? FIRST_DECODE_MS;
    return this.#queue + decode + this.#tail(first(candidate));
  }

  /** What it could take at best under the load of now, as long as its tail was hardly measured. */
  predictLeast(candidate: Candidate): number {
    const stage = `tail:${first(candidate)}`;
    return this.predict(candidate) * (this.#times.has(stage) ? this.#times.doubt(stage) : SCALED);
  }

  /** Without the queue and the load of the moment, for telling what a probe could find. */
  predictBest(candidate: Candidate): number {
    if (candidate.plan === 'local') return 0;
    const young = this.#times.young(`tail:${first(candidate)}`) ? YOUNG : 1;
    return (young * (this.predict(candidate) - this.#queue)) / Math.max(1, this.#times.slowness);
  }

  /**
   * One reply is enough where its queue and its tail agree, where the server gets over a load, and where something else has
   * spoken before.
   *
   * @param suspected a crossing did not come in time
   * @returns whether the server's load changed
   */
  observe(candidate: Candidate, { decode, queue = 0, tail }: ServerSample, suspected = false): boolean {
    if (candidate.plan === 'local') return false;
    const stage = `tail:${first(candidate)}`;
    const odd = tail === undefined ? 0 : this.#times.odd(stage, tail);
    const agree = odd !== 0 && odd === Math.sign(queue - this.#queue) && this.#oddQueue(queue);
    const recovers = odd < 0 && this.#times.slowness > LOADED;
    const sure = suspected || agree || recovers;
    let changed = this.#wait(queue, sure);
    if (tail !== undefined) {
      const expected = this.#known ? this.#tail(first(candidate)) : undefined;
      changed = this.#times.observe(stage, tail, { sure, expected }) || changed;
      this.#known ||= !this.#times.young(stage);
    }
    if (decode !== undefined) changed = this.#times.observe(`decode:${candidate.id}`, decode) || changed;
    return changed;
  }

  /** A queue grows and drains within a few requests: two that agree are the new one. */
  #wait(ms: number, sure: boolean): boolean {
    if (!Number.isFinite(ms) || ms < 0) return false;
    const odd = this.#oddQueue(ms);
    if (odd && sure) this.#late = ms;
    if (odd && this.#late === undefined) {
      this.#late = ms;
      this.#queue += 0.2 * (ms - this.#queue);
      return false;
    }
    if (odd) {
      this.#queue = (this.#late! + ms) / 2;
      this.#late = undefined;
      return true;
    }
    this.#late = undefined;
    this.#queue += 0.3 * (ms - this.#queue);
    return false;
  }

  #oddQueue(ms: number): boolean {
    return Math.abs(ms - this.#queue) > Math.max(3, 0.6 * this.#queue);
  }

  #tail(from: number): number {
    const own = this.#times.get(`tail:${from}`);
    if (own !== undefined) return own;
    const share = 1 - this.#work.upTo(from - 1);
    let nearest: { distance: number; ms: number } | undefined;
    for (let i = 0; i < this.#work.segments; i++) {
      const ms = this.#times.get(`tail:${i}`);
      const there = 1 - this.#work.upTo(i - 1);
      if (ms === undefined || there <= 0) continue;
      const distance = Math.abs(i - from);
      if (!nearest || distance < nearest.distance) nearest = { distance, ms: (ms * share) / there };
    }
    return nearest?.ms ?? FIRST_MS_PER_WORK * this.#work.total * share;
  }
}

/** First segment that runs at the server. */
const first = ({ plan, cut = -1 }: Candidate) => (plan === 'remote' ? 0 : cut + 1);
