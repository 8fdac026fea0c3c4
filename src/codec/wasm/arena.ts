// Memory of the WebAssembly kernels for one call: pieces are taken, then the memory grows to hold them, then they are
// filled and read through views. A view is good until memory grows again, so it is made where it is used.
import { dropKernels, type Kernels, wasmKernels } from './kernels.ts';

/** Encoders leave larger tensors to TypeScript: they need up to 12 bytes an element here beside their own. */
export const MAX_ELEMENTS = 2 ** 23;

/**
 * What decoders leave to TypeScript, which needs little beside the result: a stranger's hundred bytes may declare 64 MiB, and
 * shall not make this memory grow beyond what is kept anyway.
 */
export const MAX_DECODED_ELEMENTS = 2 ** 21;

/** Decoders leave to TypeScript what comes in more bytes than this too: it would be shorter raw. */
export const longestPayload = (elements: number) => 4 * elements + 65_536;

const PAGE = 65_536;
/** A vector; every piece starts on a multiple of it. */
const ALIGNMENT = 16;
/** An instance that has grown beyond this many bytes is not kept for the next call. No decoder makes it grow so far. */
export const KEEP_BYTES = 32 * 1024 * 1024;

export class Arena {
  readonly kernels: Kernels;
  #end: number;

  constructor(kernels: Kernels) {
    this.kernels = kernels;
    this.#end = roundUp(kernels.heap.value as number);
  }

  /**
   * @param bytes what is needed, with what a kernel may touch behind it
   * @returns the address of a new piece; {@link Arena.grow} comes before its use
   */
  take(bytes: number): number {
    const start = this.#end;
    this.#end = roundUp(start + bytes);
    return start;
  }

  /** @throws RangeError when there is not as much memory */
  grow(): void {
    const { memory } = this.kernels;
    const missing = this.#end - memory.buffer.byteLength;
    if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
  }

  bytes(at: number, length: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.#buffer(), at, length);
  }

  words(at: number, length: number): Uint32Array<ArrayBuffer> {
    return new Uint32Array(this.#buffer(), at, length);
  }

  floats(at: number, length: number): Float32Array<ArrayBuffer> {
    return new Float32Array(this.#buffer(), at, length);
  }

  halfwords(at: number, length: number): Uint16Array<ArrayBuffer> {
    return new Uint16Array(this.#buffer(), at, length);
  }

  /** A copy outside of this memory. */
  copy(at: number, bytes: number): ArrayBuffer {
    return this.#buffer().slice(at, at + bytes);
  }

  #buffer(): ArrayBuffer {
    return this.kernels.memory.buffer as ArrayBuffer;
  }
}

/**
 * Lends an arena to `work`.
 *
 * @returns what `work` returns; `undefined` where there are no kernels or not enough memory for them
 */
export function withArena<Result>(work: (arena: Arena) => Result | undefined): Result | undefined {
  const kernels = wasmKernels();
  if (!kernels) return undefined;
  try {
    return work(new Arena(kernels));
  } catch (error) {
    // A trap would be a defect of a kernel. The caller's own decoder then decides; this memory is not used again.
    if (!(error instanceof RangeError) && !(error instanceof WebAssembly.RuntimeError)) throw error;
    dropKernels();
    return undefined;
  } finally {
    if (kernels.memory.buffer.byteLength > KEEP_BYTES) dropKernels();
  }
}

function roundUp(address: number): number {
  return Math.ceil(address / ALIGNMENT) * ALIGNMENT;
}
