// The common end of every submission: error scopes around it, and what the device reports put into words. Encoder and
// decoder own one each.
import { IsthmusError } from '../../errors.ts';
import { closed, deviceLost, lossOf, noMemory, refusal } from './refusals.ts';

export class Guard {
  readonly #device: GPUDevice;
  #lost: GPUDeviceLostInfo | undefined;
  #closed = false;

  constructor(device: GPUDevice) {
    this.#device = device;
    void device.lost.then((info) => {
      this.#lost = info;
    });
  }

  /** From now on everything is refused, work under way too. */
  close(): void {
    this.#closed = true;
  }

  /** @throws IsthmusError CLOSED, DEVICE_LOST */
  check(): void {
    if (this.#closed) throw closed();
    if (this.#lost) throw deviceLost(this.#lost);
  }

  /** Waits for pipelines. @throws IsthmusError DEVICE_LOST, INTERNAL, CLOSED */
  async compiled<T>(pipelines: Promise<T>): Promise<T> {
    try {
      const value = await pipelines;
      const lost = await Promise.race([this.#device.lost, undefined]); // a lost device compiles without complaint
      if (lost) throw deviceLost(lost);
      if (this.#closed) throw closed();
      return value;
    } catch (e) {
      const lost = e instanceof IsthmusError ? undefined : await lossOf(this.#device);
      if (lost) throw deviceLost(lost, e);
      throw IsthmusError.from(e, 'INTERNAL', 'The codec’s shaders do not compile here; report the adapter.');
    }
  }

  /**
   * Runs `submit`, which does not wait, then `map`, and waits until the device has taken both. Without scopes a refused
   * submit would leave a buffer's old bytes in place and look like success.
   *
   * @param bytes how much memory this needs, for the refusal
   * @throws IsthmusError CLOSED, DEVICE_LOST, TOO_LARGE (no memory), INTERNAL
   */
  async run(bytes: number, submit: () => void, map?: () => Promise<unknown>): Promise<void> {
    this.#device.pushErrorScope('out-of-memory');
    this.#device.pushErrorScope('validation');
    let thrown: unknown;
    try {
      submit();
    } catch (e) {
      thrown = e;
    }
    const invalid = this.#device.popErrorScope();
    const memory = this.#device.popErrorScope();
    const mapped = thrown === undefined ? map?.() : undefined;
    const [outOfMemory, refused, mapping] = await Promise.allSettled([memory, invalid, mapped]);
    if (this.#closed) throw closed();
    const failed = [mapping, outOfMemory].find((outcome) => outcome.status === 'rejected');
    const lost = failed ? await lossOf(this.#device) : this.#lost;
    if (lost) throw deviceLost(lost, failed?.reason);
    if (outOfMemory.status === 'fulfilled' && outOfMemory.value) throw noMemory(bytes, outOfMemory.value);
    if (refused.status === 'fulfilled' && refused.value) throw refusal(refused.value);
    if (thrown !== undefined) throw refusal(thrown);
    if (mapping.status === 'rejected') throw refusal(mapping.reason);
  }
}
