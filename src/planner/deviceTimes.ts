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
/** Answers without a head after which a machine that was slow may have recovered. */
const LONG = 20;
/** Without any head it may be twice as fast as it ever was after twice so many answers, three times after three times, up to there. */
const RESTED = 12;
const MOST_RESTED = 4;
const FIRST_PREPARE_MS = 3;
const FIRST_ENCODE_MS = 2;
/** Writing a picture as WebP takes about so many times as long as JPEG: 2.4 to 4.3 times measured (docs/planner.md). */
const WEBP_TIMES = 3;

export class DeviceTimes {
  readonly #work: Work;
  readonly #times = new StageTimes();
  /** Of their own: a larger picture is no slower machine. */
  readonly #prepares = new StageTimes();
  /** Answers since a head ran, and whether pictures are prepared faster since then: a hint, as they may be smaller ones. */
  #idle = 0;
  #quicker = false;
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
    const head = this.#head(this.#last(candidate)) + this.#exitMs(candidate, candidate.exits?.length);
    return this.#prepare(candidate) + head + this.#encode(candidate);
  }

  /** @returns milliseconds of a run that ends at the candidate's exit of that index */
  predictUntil(candidate: Candidate, exit: number): number {
    const head = this.#head(candidate.exits![exit]!.cut) + this.#exitMs(candidate, exit + 1);
    return this.#prepare(candidate) + head;
  }

  /** The first `count` exits on the way, by their work. */
  #exitMs({ exits = [] }: Candidate, count = exits.length): number {
    const each = exits.slice(0, count).map(({ cut, work }) => {
      const there = this.#work.total * this.#work.upTo(cut);
      return there > 0 ? (this.#head(cut) * work) / there : 0;
    });
    return each.reduce((a, b) => a + b, 0);
  }

  /** @returns milliseconds it could take at best, as long as not every stage was measured */
  predictBest(candidate: Candidate): number {
    const last = this.#last(candidate);
    const stage = `head:${last}`;
    const known = last < 0 || this.#times.has(stage);
    const unknown = this.#anyHead ? SCALED : GUESSED;
    const rested = this.#quicker || this.#idle > LONG ? Math.max(1, this.#times.slowness) : 1;
    const rest = Math.max(rested, Math.min(MOST_RESTED, this.#idle / RESTED));
    const head = (this.#head(last) / rest) * (last < 0 ? 1 : known ? this.#times.doubt(stage) : unknown);
    const written = `encode:${candidate.id}`;
    const unsure = this.#times.has(written) ? this.#times.doubt(written) : SCALED;
    const encode = (this.#encode(candidate) / rest) * unsure;
    return this.#prepare(candidate) + head + encode;
  }

  /**
   * @param ended index of the exit that answered; -1 where all of them were asked in vain
   * @returns whether the device changed its speed
   */
  observe(candidate: Candidate, sample: DeviceSample, ended = -1): boolean {
    const { preprocess, head, encode, other = 0 } = sample;
    const { exits = [] } = candidate;
    const last = ended < 0 ? this.#last(candidate) : exits[ended]!.cut;
    // The head's time holds that of the exits on the way.
    const work = this.#work.total * this.#work.upTo(last);
    const asked = exits.slice(0, ended < 0 ? undefined : ended + 1).reduce((sum, exit) => sum + exit.work, 0);
    const share = work > 0 ? work / (work + asked) : 1;
    const times = this.#times;
    let changed = false;
    this.#idle++;
    if (head !== undefined && last >= 0) {
      this.#anyHead = true;
      this.#idle = 0;
      this.#quicker = false;
      changed = times.observe(`head:${last}`, head * share);
    }
    const before = this.#prepares.slowness;
    const prepared = (preprocess ?? 0) + Math.max(0, other);
    const told = preprocess !== undefined || prepared > 0;
    const jumped = told && this.#prepares.observe(`prepare:${candidate.plan}`, prepared);
    this.#quicker ||= jumped && this.#prepares.slowness < before;
    if (encode !== undefined && candidate.plan !== 'local') {
      this.#encoders.add(`encode:${candidate.id}`);
      changed = times.observe(`encode:${candidate.id}`, encode) || changed;
    }
    return changed;
  }

  bases(): StageBases {
    return { ...this.#times.bases(), ...this.#prepares.bases() };
  }

  /** @param bases from storage, so anything */
  restore(bases: unknown): void {
    if (typeof bases !== 'object' || bases === null) return;
    const all = Object.entries(bases);
    const prepares = all.filter(([stage]) => stage.startsWith('prepare:'));
    const others = all.filter(([stage]) => /^(head|encode):/.test(stage));
    this.#prepares.restore(Object.fromEntries(prepares));
    this.#times.restore(Object.fromEntries(others));
    for (const [stage] of others) {
      if (!this.#times.has(stage)) continue;
      if (stage.startsWith('encode:')) this.#encoders.add(stage);
      this.#anyHead ||= stage.startsWith('head:');
    }
  }

  #last({ plan, cut = -1 }: Candidate): number {
    return plan === 'local' ? this.#work.segments - 1 : plan === 'remote' ? -1 : cut;
  }

  #prepare({ plan }: Candidate): number {
    const own = this.#prepares.get(`prepare:${plan}`);
    if (own !== undefined) return own;
    const others = (['local', 'split', 'remote'] as const).map((p) => this.#prepares.get(`prepare:${p}`));
    return Math.min(
      ...others.map((ms) => ms ?? Number.POSITIVE_INFINITY),
      FIRST_PREPARE_MS * this.#prepares.slowness,
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

  #encode({ plan, id, preset }: Candidate): number {
    if (plan === 'local') return 0;
    const own = this.#times.get(`encode:${id}`);
    if (own !== undefined) return own;
    if (plan !== 'remote') return this.#feature();
    const times = preset === 'webp' ? WEBP_TIMES : 1;
    const same = this.#picture(preset === 'webp');
    const other = this.#picture(preset !== 'webp');
    const first = FIRST_ENCODE_MS * this.#times.slowness * times;
    return same ?? (other === undefined ? first : (other * times ** 2) / WEBP_TIMES);
  }

  /** Milliseconds of writing a picture in that format, at whatever quality. */
  #picture(webp: boolean): number | undefined {
    const stage = [...this.#encoders].find(
      (one) => one.startsWith('encode:remote') && one.startsWith('encode:remote/webp') === webp,
    );
    return stage === undefined ? undefined : this.#times.get(stage);
  }

  /** Features are written by the codec, as pictures are not: what one takes says nothing about the other. */
  #feature(): number {
    const known = [...this.#encoders]
      .filter((stage) => !stage.startsWith('encode:remote'))
      .map((stage) => this.#times.get(stage)!);
    const first = FIRST_ENCODE_MS * this.#times.slowness;
    return known.length > 0 ? known.reduce((a, b) => a + b) / known.length : first;
  }
}
