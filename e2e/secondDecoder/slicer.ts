// Family slicer: survivors in a bitmap or as indices, a block for each, a sign, and a code within its block's range.
import { Bits, Bytes } from './bytes.ts';
import { packFloats } from './elements.ts';
import { decodeConst, demandQuantisable } from './plainFamilies.ts';
import { demand } from './refuse.ts';
import { CONST, SIGNED, type TensorRecord } from './tensorRecord.ts';

interface Block {
  readonly lo: number;
  readonly hi: number;
  readonly width: number;
  /** Survivors it holds. */
  readonly size: number;
}

const words = (bits: number): number => Math.ceil(bits / 32);

/** The elements as bytes. */
export function decodeSlicer(tensor: TensorRecord): Uint8Array {
  const T = demandQuantisable(tensor);
  if (tensor.flags & CONST) return decodeConst(tensor, T);

  const params = new Bytes(tensor.params);
  const S = params.uint(4, 'params');
  const E = params.uint(1, 'params');
  const mode = params.uint(1, 'params');
  const M = params.uint(1, 'params');
  demand(params.uint(1, 'params') === 0, 'reserved byte');
  demand([1, 2, 4, 8, 16].includes(M), 'M');
  demand(S <= T, 'S > T');
  demand(E >= 1 && E <= 254, 'E');
  const indexBits = Math.max(1, Math.ceil(Math.log2(T)));
  const rightMode = S === T ? 2 : words(S * indexBits) < words(T) ? 1 : 0;
  demand(mode === rightMode, 'positions mode');
  const blocks = readBlocks(params, S, M);
  demand(params.left === 0, 'params length');

  const payload = new Bytes(tensor.payload);
  const section = (bits: number): Bits => new Bits(payload.take(4 * words(bits), 'payload'));
  const idBits = Math.log2(M);
  const signed = (tensor.flags & SIGNED) !== 0;
  const total =
    [[T, S * indexBits, 0][mode]!, S * idBits, signed ? S : 0, ...blocks.map((b) => b.size * b.width)]
      .map(words)
      .reduce((sum, n) => sum + n, 0) * 4;
  demand(total === tensor.payload.length, 'payload length');

  const where = readPositions(mode, section([T, S * indexBits, 0][mode]!), S, T, indexBits);
  const idSection = section(S * idBits);
  const held = blocks.map(() => 0);
  const block = where.map(() => {
    const j = idSection.take(idBits);
    demand(held[j]!++ < blocks[j]!.size, 'block is full already');
    return j;
  });
  idSection.restIsZero('block ids');
  const signSection = section(signed ? S : 0);
  const negative = where.map(() => signed && signSection.take(1) === 1);
  signSection.restIsZero('signs');

  const values = new Float32Array(T);
  blocks.forEach(({ lo, hi, width, size }, j) => {
    const codes = section(size * width);
    const n = 2 ** width - 1;
    where.forEach((index, i) => {
      if (block[i] !== j) return;
      const u = width === 0 ? lo : lo + Math.floor((codes.take(width) * (hi - lo) + Math.floor(n / 2)) / n);
      values[index] = (negative[i] ? -u : u) * 2 ** (E - 150);
    });
    codes.restIsZero('codes');
  });
  return packFloats(values, tensor.type);
}

function readBlocks(params: Bytes, S: number, M: number): Block[] {
  const n = Math.ceil(S / M);
  return Array.from({ length: M }, (_, j) => {
    const size = Math.max(0, Math.min(S, (j + 1) * n) - j * n);
    const lo = params.uint(3, 'params');
    const width = params.uint(1, 'params');
    const hi = params.uint(4, 'params');
    demand(lo <= hi && hi < 2 ** 24 && width <= 8, 'block');
    demand(size > 0 || (lo === 0 && hi === 0 && width === 0), 'an empty block has zero words');
    return { lo, hi, width, size };
  });
}

function readPositions(mode: number, bits: Bits, S: number, T: number, indexBits: number): number[] {
  const where: number[] = [];
  if (mode === 1) {
    for (let i = 0; i < S; i++) {
      const index = bits.take(indexBits);
      demand(index < T && index > (where.at(-1) ?? -1), 'indices do not rise or reach T');
      where.push(index);
    }
  } else {
    for (let i = 0; i < T; i++) if (mode === 2 || bits.take(1)) where.push(i);
    demand(where.length === S, 'population of the bitmap');
  }
  bits.restIsZero('positions');
  return where;
}
