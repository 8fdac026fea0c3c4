// Where things lie in a slicer tensor: its params as an object and the word offsets of the payload's sections.
// Shared by every encoder and decoder of the family; it reads no payload.
import { IsthmusError } from '../../errors.ts';

/** How survivors' positions travel. */
export const POSITIONS = { bitmap: 0, list: 1, all: 2 } as const;

export interface SlicerBlock {
  /** Smallest and largest fixed-point magnitude; both 0 for an empty block. */
  lo: number;
  hi: number;
  /** Bits per code, 0…8. */
  width: number;
}

export interface SlicerHeader {
  /** S */
  survivors: number;
  /** E */
  exponent: number;
  blocks: SlicerBlock[];
}

/** First word of each section, and of what follows the last; a payload has `end` words. */
export interface Sections {
  mode: number;
  /** Bits of an entry of the position list. */
  indexWidth: number;
  ids: number;
  signs: number;
  codes: number[];
  end: number;
}

const words = (bits: number) => Math.ceil(bits / 32);

/** Ranks per block: block j holds ranks [j·n, min(S, (j+1)·n)). */
export function blockSize(survivors: number, blocks: number, j: number): number {
  const n = Math.ceil(survivors / blocks);
  return Math.max(0, Math.min(survivors, (j + 1) * n) - j * n);
}

export function layOut(total: number, { survivors, blocks }: SlicerHeader, signed: boolean): Sections {
  const indexWidth = Math.max(1, Math.ceil(Math.log2(total)));
  const bitmap = words(total);
  const list = words(survivors * indexWidth);
  const mode = survivors === total ? POSITIONS.all : list < bitmap ? POSITIONS.list : POSITIONS.bitmap;
  const ids = mode === POSITIONS.all ? 0 : Math.min(bitmap, list);
  const signs = ids + words(survivors * Math.log2(blocks.length));
  let end = signs + (signed ? words(survivors) : 0);
  const codes = blocks.map(({ width }, j) => {
    const start = end;
    end += words(blockSize(survivors, blocks.length, j) * width);
    return start;
  });
  return { mode, indexWidth, ids, signs, codes, end };
}

/** Params of FORMAT.md, 8 + 8·M bytes. */
export function writeParams(header: SlicerHeader, mode: number): Uint8Array {
  const params = new Uint8Array(8 + 8 * header.blocks.length);
  const view = new DataView(params.buffer);
  view.setUint32(0, header.survivors, true);
  params.set([header.exponent, mode, header.blocks.length, 0], 4);
  header.blocks.forEach(({ lo, hi, width }, j) => {
    view.setUint32(8 + 8 * j, lo + width * 2 ** 24, true);
    view.setUint32(12 + 8 * j, hi, true);
  });
  return params;
}

/**
 * Reads and checks params for a tensor of `total` elements.
 * @throws IsthmusError FRAME_INVALID
 */
export function readParams(params: Uint8Array, total: number, signed: boolean): [SlicerHeader, Sections] {
  const count = params[6] ?? 0;
  if (![1, 2, 4, 8, 16].includes(count)) throw damaged(`it has ${count} blocks`);
  if (params.length !== 8 + 8 * count) throw damaged('its params have a wrong length');
  if (params[7] !== 0) throw damaged('a reserved byte is set');
  const view = new DataView(params.buffer, params.byteOffset, params.length);
  const survivors = view.getUint32(0, true);
  const exponent = params[4]!;
  if (survivors > total) throw damaged('it has more survivors than elements');
  if (exponent < 1 || exponent > 254) throw damaged(`exponent ${exponent} is out of range`);
  const blocks = Array.from({ length: count }, (_, j) => {
    const word = view.getUint32(8 + 8 * j, true);
    const block = { lo: word & 0xffffff, hi: view.getUint32(12 + 8 * j, true), width: word >>> 24 };
    if (block.lo > block.hi || block.hi > 0xffffff || block.width > 8)
      throw damaged(`block ${j} is impossible`);
    if (blockSize(survivors, count, j) === 0 && (word !== 0 || block.hi !== 0))
      throw damaged(`block ${j} is empty but has bounds`);
    return block;
  });
  const header = { survivors, exponent, blocks };
  const sections = layOut(total, header, signed);
  if (params[5] !== sections.mode) throw damaged('its positions have a mode that does not fit their number');
  return [header, sections];
}

/** The words of each section have no bit set behind their last one. @throws IsthmusError FRAME_INVALID */
export function checkUnusedBits(
  words: Uint32Array,
  total: number,
  { survivors, blocks }: SlicerHeader,
  { mode, indexWidth, ids, signs, codes }: Sections,
  signed: boolean,
): void {
  const check = (firstWord: number, bits: number) => {
    const used = bits % 32;
    if (used && words[firstWord + Math.floor(bits / 32)]! >>> used) throw damaged('an unused bit is set');
  };
  if (mode === POSITIONS.bitmap) check(0, total);
  if (mode === POSITIONS.list) check(0, survivors * indexWidth);
  check(ids, survivors * Math.log2(blocks.length));
  if (signed) check(signs, survivors);
  blocks.forEach(({ width }, j) => {
    check(codes[j]!, blockSize(survivors, blocks.length, j) * width);
  });
}

/** A tensor that breaks FORMAT.md, in one voice. */
export function damaged(reason: string): IsthmusError {
  return new IsthmusError(
    'FRAME_INVALID',
    `A compressed tensor cannot be decoded: ${reason}. Encode it again with the same version of Isthmus.`,
  );
}
