// Bit streams of the reference codec: one bit at a time, lowest bit of a word first. Slow and plain on purpose.
import { damaged } from './slicerLayout.ts';

export class BitWriter {
  readonly #bits: number[] = [];

  /** Appends the low `width` bits of `value`, lowest first. */
  write(value: number, width: number): void {
    for (let i = 0; i < width; i++) this.#bits.push((value >>> i) & 1);
  }

  /** Fills the last word with zeros, so that the next write starts on a new one. */
  align(): void {
    while (this.#bits.length % 32) this.#bits.push(0);
  }

  bytes(): Uint8Array {
    this.align();
    const bytes = new Uint8Array(this.#bits.length / 8);
    this.#bits.forEach((bit, i) => {
      bytes[i >> 3]! |= bit << (i & 7);
    });
    return bytes;
  }
}

export class BitReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  read(width: number): number {
    let value = 0;
    for (let i = 0; i < width; i++, this.#at++) {
      value |= ((this.#bytes[this.#at >> 3]! >> (this.#at & 7)) & 1) << i;
    }
    return value;
  }

  /** Skips to the next word; what is skipped must be zero. */
  align(): void {
    while (this.#at % 32) if (this.read(1)) throw damaged('an unused bit is set');
  }
}
