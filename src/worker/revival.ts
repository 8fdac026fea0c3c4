// Revival: makes worker, device and segments anew in the background after a death: twice, then not again for a while.
// Meanwhile there is trouble, which others answer in. How it is done spawn.ts says.
import { IsthmusError } from '../errors.ts';
import { Trouble } from './trouble.ts';

/** After so many workers that died one after the other, and when two starts failed, the device is left alone for so long. */
const DEATHS = 3;
const REST_MS = 60_000;

export class Revival {
  readonly trouble = new Trouble();
  readonly #again: () => Promise<void>;
  /** Since the device last answered; {@link DEATHS} or more while it is left alone. */
  #deaths = 0;
  #restUntil = 0;
  #running = false;

  constructor(again: () => Promise<void>) {
    this.#again = again;
  }

  /** What kills one worker after the other may be the GPU. */
  get withoutGpu(): boolean {
    return this.#deaths > 1;
  }

  died(why: IsthmusError): void {
    this.#deaths++;
    this.trouble.begin(why);
    if (this.#deaths < DEATHS) this.#begin();
    else if (!this.#running) this.#rest(); // one that a waiting call made
  }

  /** The worker lives and makes another device by itself; undefined once it has. */
  deviceLost(why: IsthmusError | undefined): void {
    this.#restUntil = performance.now() + REST_MS;
    if (why) this.trouble.begin(why);
    else this.trouble.end();
  }

  /** The device has computed something. @param before the trouble when that was asked for */
  computed(before: IsthmusError | undefined): void {
    this.#deaths = 0;
    // One that waited for the new device shows that it works.
    if (before && before === this.trouble.trouble) this.trouble.end();
  }

  /** Tries again where the last try is long ago. */
  beginWhenDue(): void {
    if (this.#running || !this.trouble.trouble || performance.now() <= this.#restUntil) return;
    if (this.#deaths >= DEATHS) this.#deaths = 0;
    this.#begin();
  }

  #begin(): void {
    if (this.#running) return;
    this.#running = true;
    void this.#tryTwice().finally(() => {
      this.#running = false;
    });
  }

  async #tryTwice(): Promise<void> {
    for (let n = 0; n < 2 && this.#deaths < DEATHS; n++) {
      try {
        await this.#again();
        this.trouble.end();
        return;
      } catch (thrown) {
        this.trouble.begin(IsthmusError.from(thrown, 'WORKER_FAILED', 'The worker does not come back'));
      }
    }
    this.#rest();
  }

  #rest(): void {
    this.#deaths = Math.max(this.#deaths, DEATHS);
    this.#restUntil = performance.now() + REST_MS;
  }
}
