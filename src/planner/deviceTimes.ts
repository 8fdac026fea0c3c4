// What this device needs: preparing the picture, the segments up to a cut, the codec. Learned from reports; what was
// not measured yet is scaled from what was.
import type { Candidate } from './candidates.ts';
import { type StageBases, StageTimes } from './stageTimes.ts';
import type { Work } from './work.ts';

/** Stages of one answer on this device, milliseconds; `other` is what no stage accounts for. */
export interface DeviceSample {
  preprocess?: number | undefined;
  head?: number | undefined;
  encode?: number | undefined;
  other?: number | undefined;
}

/** Milliseconds per million multiply-accumulates before anything was measured: 5 GMAC/s, a phone on wasm. */
const FIRST_MS_PER_WORK = 0.2;
/** What is scaled from other stages may be that much less in truth, and what is only guessed. */
const SCALED = 0.7;
const GUESSED = 0.1;
const FIRST_PREPARE_MS = 3;
const FIRST_ENCODE_MS = 2;

export class DeviceTimes {
  readonly #work: Work;
  readonly #times = new StageTimes();
  #anyHead = false;
  readonly #encoders = new Set<string>();

  constructor(work: Work) {
    this.#work = work;
  }

  get slowness(): number {
    return this.#times.slowness;
  }

  /** @returns milliseconds on this device */
  predict(candidate: Candidate): number {
    return this.#prepare(candidate) + this.#head(this.#last(candidate)) + this.#encode(candidate);
  }

  /** @returns milliseconds it could take at best, as long as not every stage was measured */
  predictBest(candidate: Candidate): number {
    const last = this.#last(candidate);
    const known = last < 0 || this.#times.has(`head:${last}`);
    const head = this.#head(last) * (known ? 1 : this.#anyHead ? SCALED : GUESSED);
    const encode = this.#encode(candidate) * (this.#times.has(`encode:${candidate.id}`) ? 1 : SCALED);
    return this.#prepare(candidate) + head + encode;
  }

  /** @returns whether the device changed its speed */
  observe(candidate: Candidate, { preprocess = 0, head, encode, other = 0 }: DeviceSample): boolean {
    const last = this.#last(candidate);
    const times = this.#times;
    let changed = false;
    if (head !== undefined && last >= 0) {
      this.#anyHead = true;
      changed = times.observe(`head:${last}`, head);
    }
    changed = times.observe(`prepare:${candidate.plan}`, preprocess + Math.max(0, other)) || changed;
    if (encode !== undefined && candidate.plan !== 'local') {
      this.#encoders.add(`encode:${candidate.id}`);
      changed = times.observe(`encode:${candidate.id}`, encode) || changed;
    }
    return changed;
  }

  bases(): StageBases {
    return this.#times.bases();
  }

  restore(bases: StageBases): void {
    this.#times.restore(bases);
    for (const stage of Object.keys(bases)) {
      if (stage.startsWith('encode:')) this.#encoders.add(stage);
      this.#anyHead ||= stage.startsWith('head:');
    }
  }

  #last({ plan, cut = -1 }: Candidate): number {
    return plan === 'local' ? this.#work.segments - 1 : plan === 'remote' ? -1 : cut;
  }

  #prepare({ plan }: Candidate): number {
    const own = this.#times.get(`prepare:${plan}`);
    if (own !== undefined) return own;
    const others = (['local', 'split', 'remote'] as const).map((p) => this.#times.get(`prepare:${p}`));
    return Math.min(
      ...others.map((ms) => ms ?? Number.POSITIVE_INFINITY),
      FIRST_PREPARE_MS * this.#times.slowness,
    );
  }

  /** A prefix that was not run is scaled from the nearest that was, by work. */
  #head(last: number): number {
    if (last < 0) return 0;
    const own = this.#times.get(`head:${last}`);
    if (own !== undefined) return own;
    const share = this.#work.upTo(last);
    let nearest: { distance: number; ms: number } | undefined;
    for (let i = 0; i < this.#work.segments; i++) {
      const ms = this.#times.get(`head:${i}`);
      const there = this.#work.upTo(i);
      if (ms === undefined || there <= 0) continue;
      const distance = Math.abs(Math.log((share + 1e-6) / there));
      if (!nearest || distance < nearest.distance) nearest = { distance, ms: (ms * share) / there };
    }
    return nearest?.ms ?? FIRST_MS_PER_WORK * this.#work.total * share;
  }

  #encode({ plan, id }: Candidate): number {
    if (plan === 'local') return 0;
    const own = this.#times.get(`encode:${id}`);
    if (own !== undefined) return own;
    const known = [...this.#encoders]
      .map((stage) => this.#times.get(stage)!)
      .filter((ms) => ms !== undefined);
    return known.length > 0 ? known.reduce((a, b) => a + b) / known.length : FIRST_ENCODE_MS;
  }
}
