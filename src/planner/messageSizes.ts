// What messages weigh: of each way as seen, and for pictures, which the same camera makes larger or smaller in every format, by what
// all formats have in common. So a format that was seen once, on a picture unlike the others, is not judged by that one.
import type { Candidate } from './candidates.ts';

/** Share of a new message in what is expected of the next. */
const NEW = 0.2;
/** What a calibration says of two formats counts as much as so many pairs of pictures seen: one pair is of two pictures. */
const PRIOR = 8;

export class MessageSizes {
  readonly #bytes = new Map<string, number>();
  /** Bytes of pictures as against their calibration; undefined before the first. */
  #scale: number | undefined;
  /** The same of one format as against that, as logarithm, and from how many changes of format it is known. */
  readonly #biases = new Map<string, { log: number; pairs: number }>();
  #last: string | undefined;

  /** @returns bytes expected */
  of(candidate: Candidate): number {
    if (!isPicture(candidate)) return this.#bytes.get(candidate.id) ?? candidate.bytes;
    return candidate.bytes * (this.#scale ?? 1) * this.#bias(candidate);
  }

  observe(candidate: Candidate, bytes: number): void {
    const { id } = candidate;
    if (!isPicture(candidate) || candidate.bytes <= 0 || bytes <= 0) {
      const before = this.#bytes.get(id);
      this.#bytes.set(id, before === undefined ? bytes : before + NEW * (bytes - before));
      return;
    }
    // Only right after another format does it tell how the two compare: later the pictures may have changed.
    if (this.#scale !== undefined && this.#last !== undefined && this.#last !== id) {
      const { log, pairs } = this.#biases.get(id) ?? { log: 0, pairs: 0 };
      const off = Math.log(bytes / (candidate.bytes * this.#scale)) - log;
      this.#biases.set(id, { log: log + off / (pairs + 1 + PRIOR), pairs: pairs + 1 });
    }
    this.#last = id;
    const scale = bytes / (candidate.bytes * this.#bias(candidate));
    this.#scale = this.#scale === undefined ? scale : this.#scale + NEW * (scale - this.#scale);
  }

  #bias({ id }: Candidate): number {
    return Math.exp(this.#biases.get(id)?.log ?? 0);
  }
}

const isPicture = ({ plan, quality }: Candidate) => plan === 'remote' && quality !== undefined;
