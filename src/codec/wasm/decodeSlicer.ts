// The WebAssembly slicer decoder. It gives the values of codec/reference for what an encoder makes; for anything else, for
// constants, or where it cannot run, it gives nothing, and the decoder in codec/cpu says what is wrong.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { level } from '../reference/decodeSlicer.ts';
import { fromFixedPoint } from '../reference/float.ts';
import {
  blockSize,
  POSITIONS,
  readParams,
  type Sections,
  type SlicerHeader,
} from '../reference/slicerLayout.ts';
import { type Arena, MAX_DECODED_ELEMENTS, withArena } from './arena.ts';

/** Bytes that kernels may touch behind a piece. */
const SLACK = 64;
/** Entries of the table of values: sign, block, code. */
const TABLE = 2 * 16 * 256;

/**
 * @param total product of the shape, checked against the limits by the caller
 * @returns the elements; `undefined`: ask codec/cpu
 * @throws IsthmusError FRAME_INVALID
 */
export function decodeSlicer(
  { flags, params, payload }: EncodedTensor,
  total: number,
): Float32Array | undefined {
  if (flags & TENSOR_FLAGS.CONST || total > MAX_DECODED_ELEMENTS) return undefined;
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  const [header, sections] = readParams(params, total, signed);
  if (payload.length !== 4 * sections.end) return undefined;
  return withArena((arena) => {
    const stream = arena.take(payload.length + SLACK);
    const values = arena.take(4 * header.survivors + SLACK);
    const output = arena.take(4 * total + 2 * SLACK);
    arena.grow();
    arena.bytes(stream, payload.length).set(payload);
    if (!unusedBitsAreZero(arena.words(stream, sections.end), total, header, sections, signed))
      return undefined;
    if (!merge(arena, stream, header, sections, signed, values)) return undefined;
    const from = place(arena, stream, header.survivors, sections, total, values, output);
    return from === undefined ? undefined : new Float32Array(arena.copy(from, 4 * total));
  });
}

function unusedBitsAreZero(
  words: Uint32Array,
  total: number,
  { survivors, blocks }: SlicerHeader,
  { mode, indexWidth, ids, signs, codes }: Sections,
  signed: boolean,
): boolean {
  const isClean = (firstWord: number, bits: number) =>
    bits % 32 === 0 || words[firstWord + Math.floor(bits / 32)]! >>> (bits % 32) === 0;
  if (mode === POSITIONS.bitmap && !isClean(0, total)) return false;
  if (mode === POSITIONS.list && !isClean(0, survivors * indexWidth)) return false;
  if (!isClean(ids, survivors * Math.log2(blocks.length))) return false;
  if (signed && !isClean(signs, survivors)) return false;
  return blocks.every(({ width }, j) => isClean(codes[j]!, blockSize(survivors, blocks.length, j) * width));
}

/** Decodes the survivors in their order. @returns whether every block has its share of them */
function merge(
  arena: Arena,
  stream: number,
  { survivors, exponent, blocks }: SlicerHeader,
  sections: Sections,
  signed: boolean,
  values: number,
): boolean {
  const { kernels } = arena;
  const sizes = blocks.map((_, j) => blockSize(survivors, blocks.length, j));
  const ids = arena.take(survivors + SLACK);
  const codes = sizes.map((size) => arena.take(size + SLACK));
  arena.take(survivors + SLACK); // for blocks that get more than their share, before that is noticed
  const cursors = arena.take(4 * 16);
  const table = arena.take(4 * TABLE);
  arena.grow();

  const idWidth = Math.log2(blocks.length);
  if (idWidth > 0) kernels.slicerUnpackBits(stream + 4 * sections.ids, survivors, idWidth, ids);
  else arena.bytes(ids, survivors).fill(0);
  const levels = arena.floats(table, TABLE);
  blocks.forEach((block, j) => {
    const from = stream + 4 * sections.codes[j]!;
    if (block.width > 0) kernels.slicerUnpackBits(from, sizes[j]!, block.width, codes[j]!);
    else arena.bytes(codes[j]!, sizes[j]!).fill(0);
    for (let code = 0; code < 1 << block.width; code++) {
      const value = fromFixedPoint(level(code, block), exponent);
      levels[256 * j + code] = value;
      levels[TABLE / 2 + 256 * j + code] = -value;
    }
  });
  const ends = arena.words(cursors, blocks.length);
  ends.set(codes);
  const signs = signed ? stream + 4 * sections.signs : 0;
  kernels.slicerMerge(ids, survivors, blocks.length, cursors, signs, table, values);
  return sizes.every((size, j) => ends[j] === codes[j]! + size);
}

/** @returns where the elements are; `undefined` when their places are not such as an encoder makes */
function place(
  { kernels }: Arena,
  stream: number,
  survivors: number,
  { mode, indexWidth }: Sections,
  total: number,
  values: number,
  output: number,
): number | undefined {
  if (mode === POSITIONS.all) return values;
  if (mode === POSITIONS.list) {
    const fits = kernels.slicerPlaceList(stream, survivors, indexWidth, total, values, output);
    return fits === 1 ? output : undefined;
  }
  const words = Math.ceil(total / 32);
  if (kernels.slicerOnes(stream, words) !== survivors) return undefined;
  kernels.slicerPlaceBitmap(stream, words, values, output);
  return output;
}
