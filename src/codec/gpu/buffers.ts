// The encoder's GPU memory: one arena and one uniform buffer that grow and are shared by all frames (the queue runs
// frames one after the other), and a pool of readback buffers, one per frame under way. It records nothing.

/** Sizes grow in steps of a quarter, so that slowly rising sizes do not allocate every frame. */
const roomFor = (bytes: number) => Math.ceil((bytes * 1.25) / 65_536) * 65_536;
/** Idle readback buffers kept for the next frames. */
const IDLE_READBACKS = 3;

/** A buffer that is replaced by a larger one when needed; its content does not survive that. */
export class GrowingBuffer {
  #buffer: GPUBuffer | undefined;
  readonly #device: GPUDevice;
  readonly #label: string;
  readonly #usage: number;

  constructor(device: GPUDevice, label: string, usage: number) {
    this.#device = device;
    this.#label = label;
    this.#usage = usage;
  }

  /** A buffer of at least `bytes`; the same object as before while it is large enough. */
  take(bytes: number): GPUBuffer {
    if (!this.#buffer || this.#buffer.size < bytes) {
      this.#buffer?.destroy(); // frames already submitted still finish
      const size = Math.min(roomFor(bytes), this.#device.limits.maxBufferSize);
      this.#buffer = this.#device.createBuffer({ label: this.#label, size, usage: this.#usage });
    }
    return this.#buffer;
  }

  destroy(): void {
    this.#buffer?.destroy();
    this.#buffer = undefined;
  }
}

/** Buffers that can be mapped. A frame takes one and gives it back unmapped. */
export class ReadbackPool {
  readonly #device: GPUDevice;
  readonly #idle: GPUBuffer[] = [];
  readonly #busy = new Set<GPUBuffer>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  take(bytes: number): GPUBuffer {
    const fitting = this.#idle.findIndex((b) => b.size >= bytes);
    const buffer =
      fitting >= 0
        ? this.#idle.splice(fitting, 1)[0]!
        : this.#device.createBuffer({
            label: 'isthmus readback',
            size: Math.min(roomFor(bytes), this.#device.limits.maxBufferSize),
            usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
          });
    this.#busy.add(buffer);
    return buffer;
  }

  /** `reusable` is false when its state is unknown, after a failure. */
  giveBack(buffer: GPUBuffer, reusable: boolean): void {
    this.#busy.delete(buffer);
    if (!reusable) {
      buffer.destroy();
      return;
    }
    buffer.unmap();
    this.#idle.push(buffer);
    if (this.#idle.length > IDLE_READBACKS) this.#idle.shift()!.destroy();
  }

  destroy(): void {
    for (const buffer of [...this.#idle, ...this.#busy]) buffer.destroy();
    this.#idle.length = 0;
    this.#busy.clear();
  }
}
