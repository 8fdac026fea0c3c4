// Little-endian bytes read from front to back, never beyond the end they were given; and bits within such bytes.
import { demand } from './refuse.ts';

/** A reading position in some bytes. */
export class Bytes {
  readonly all: Uint8Array;
  at = 0;

  constructor(all: Uint8Array) {
    this.all = all;
  }

  get left(): number {
    return this.all.length - this.at;
  }

  /** The next `count` bytes, not copied. */
  take(count: number, what: string): Uint8Array {
    demand(count <= this.left, `${what} runs past the end`);
    this.at += count;
    return this.all.subarray(this.at - count, this.at);
  }

  /** An unsigned number of `size` ≤ 4 bytes. */
  uint(size: number, what: string): number {
    return this.take(size, what).reduceRight((value, byte) => value * 256 + byte, 0);
  }

  /** A signed number of `size` ≤ 2 bytes. */
  int(size: number, what: string): number {
    const value = this.uint(size, what);
    return value < 2 ** (8 * size - 1) ? value : value - 2 ** (8 * size);
  }

  /** Zeros up to the next multiple of 4 of `at`. */
  zerosToFour(what: string): void {
    while (this.at % 4 !== 0) demand(this.uint(1, what) === 0, `${what} is not zero`);
  }

  /** LEB128 of at most `most` bytes, none needless. */
  leb128(most: number, what: string): number {
    let value = 0;
    for (let i = 0; i < most; i++) {
      const byte = this.uint(1, what);
      value += (byte & 127) * 2 ** (7 * i);
      if (byte < 128) {
        demand(i === 0 || byte !== 0, `${what} has a needless byte`);
        return value;
      }
    }
    demand(false, `${what} is longer than ${most} bytes`);
  }
}

/** Fields of bits, lowest bit of the first byte first; a field may cross bytes and words. */
export class Bits {
  private readonly bytes: Uint8Array;
  private position = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  take(count: number): number {
    let value = 0;
    for (let i = 0; i < count; i++, this.position++) {
      value += ((this.bytes[this.position >> 3]! >> (this.position & 7)) & 1) * 2 ** i;
    }
    return value;
  }

  /** What was not taken must be zeros. */
  restIsZero(what: string): void {
    while (this.position < 8 * this.bytes.length)
      demand(this.take(1) === 0, `${what}: a one among unused bits`);
  }
}
