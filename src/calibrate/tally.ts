// What is counted over pictures when something stands between them and the model, and what the manifest says of it:
// means and shares with 95 % intervals.
import { type AnswerKind, best, classifies, divergence } from './answers.ts';
import { meanInterval, wilson } from './intervals.ts';

/** One entry of the manifest's `calibration`; see src/model/manifestSchema.ts. */
export type Measured = Record<string, number>;

export class Tally {
  readonly #kind: AnswerKind;
  readonly #bytes: number[] = [];
  #right = 0;
  #agree = 0;
  #kl = 0;

  constructor(kind: AnswerKind) {
    this.#kind = kind;
  }

  /** One picture: bytes that travelled, its class, and what was answered in the place of `whole`. */
  add(bytes: number, label: number, answer: Float64Array, whole: Float64Array): void {
    this.#bytes.push(bytes);
    this.#right += best(answer) === label ? 1 : 0;
    this.#agree += best(answer) === best(whole) ? 1 : 0;
    this.#kl += divergence(whole, answer, this.#kind);
  }

  figures(): Measured {
    const images = this.#bytes.length;
    const size = meanInterval(this.#bytes);
    const figures: Measured = {
      images,
      bytes: rounded(size.value, 1),
      bytesLow: rounded(size.low, 1),
      bytesHigh: rounded(size.high, 1),
    };
    const share = (name: string, hits: number) => {
      const { value, low, high } = wilson(hits, images);
      figures[name] = rounded(value, 4);
      figures[`${name}Low`] = rounded(low, 4);
      figures[`${name}High`] = rounded(high, 4);
    };
    if (classifies(this.#kind)) {
      share('top1', this.#right);
      share('agreement', this.#agree);
    }
    return { ...figures, kl: rounded(this.#kl / images, 5) };
  }
}

const rounded = (x: number, digits: number) => Number(x.toFixed(digits));
