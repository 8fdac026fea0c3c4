// Trouble: why a page's runtime cannot compute just now, and a race against it, so that nobody who has another way to an answer
// waits for a worker or a device that is being made anew. It makes nothing anew itself (spawn.ts does).
import type { IsthmusError } from '../errors.ts';
import type { Recovery } from '../head/runtime.ts';

export class Trouble implements Recovery {
  #why: IsthmusError | undefined;
  /** How often it began. */
  times = 0;
  readonly #waiting = new Set<(why: IsthmusError) => void>();

  get trouble(): IsthmusError | undefined {
    return this.#why;
  }

  begin(why: IsthmusError): void {
    this.times++;
    this.#why = why;
    for (const reject of this.#waiting) reject(why);
    this.#waiting.clear();
  }

  end(): void {
    this.#why = undefined;
  }

  unlessTroubled<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#why) return reject(this.#why);
      this.#waiting.add(reject);
      work()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(reject));
    });
  }
}
