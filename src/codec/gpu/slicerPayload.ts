// Looks at every bit of a slicer payload before the GPU does: refuses what FORMAT.md refuses, and notes on the way what
// lets invocations start in the middle. A scan on the CPU costs about a nanosecond per survivor; asking the GPU would
// cost a map, that is up to milliseconds of waiting, and the bytes come from the CPU anyway.
import {
  blockSize,
  checkUnusedBits,
  damaged,
  POSITIONS,
  type Sections,
  type SlicerHeader,
} from '../reference/slicerLayout.ts';

/** Where to start in the middle of a payload. */
export interface Waypoints {
  /** Per chunk of survivors and block: members of the block before the chunk. */
  bases: Uint32Array;
  /** Bitmap only, per 32 survivors: index of the first. */
  starts: Uint32Array;
}

/**
 * @param words payload of exactly `sections.end` words
 * @param chunk survivors per chunk, a multiple of 32
 * @throws IsthmusError FRAME_INVALID
 */
export function scanPayload(
  words: Uint32Array,
  total: number,
  header: SlicerHeader,
  sections: Sections,
  signed: boolean,
  chunk: number,
): Waypoints {
  checkUnusedBits(words, total, header, sections, signed);
  const { mode, indexWidth } = sections;
  if (mode === POSITIONS.list) checkList(words, total, header.survivors, indexWidth);
  const starts =
    mode === POSITIONS.bitmap
      ? walkBitmap(words.subarray(0, sections.ids), header.survivors)
      : new Uint32Array(0);
  return { bases: countBlocks(words.subarray(sections.ids), header, chunk), starts };
}

function checkList(words: Uint32Array, total: number, survivors: number, width: number): void {
  const mask = 2 ** width - 1;
  for (let k = 0, bit = 0, last = -1; k < survivors; k++, bit += width) {
    const word = bit >>> 5;
    const shift = bit & 31;
    const low = words[word]! >>> shift;
    const index = (shift + width > 32 ? low | (words[word + 1]! << (32 - shift)) : low) & mask;
    if (index <= last || index >= total) throw damaged('its positions are not rising or out of range');
    last = index;
  }
}

function walkBitmap(bitmap: Uint32Array, survivors: number): Uint32Array {
  const starts = new Uint32Array(Math.ceil(survivors / 32));
  let seen = 0;
  let noted = 0;
  for (let w = 0; w < bitmap.length; w++) {
    const ones = bitmap[w]!;
    if (ones === 0) continue;
    const after = seen + bitCount(ones);
    // At most one of 32 neighbours begins a new group of 32 survivors.
    const wanted = noted * 32;
    if (wanted < after && noted < starts.length) {
      let rest = ones;
      for (let skip = wanted - seen; skip > 0; skip--) rest &= rest - 1;
      starts[noted++] = w * 32 + 31 - Math.clz32(rest & -rest);
    }
    seen = after;
  }
  if (seen !== survivors)
    throw damaged(`its bitmap has ${seen > survivors ? 'more' : 'fewer'} ones than survivors`);
  return starts;
}

function bitCount(x: number): number {
  let v = x - ((x >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Counts block ids chunk by chunk; every block must hold its share in the end. */
function countBlocks(ids: Uint32Array, { survivors, blocks }: SlicerHeader, chunk: number): Uint32Array {
  const count = blocks.length;
  const width = Math.log2(count);
  const bases = new Uint32Array(Math.ceil(survivors / chunk) * count);
  if (count === 1) return bases.map((_, i) => i * chunk);
  const seen = new Uint32Array(count);
  const perWord = 32 / width; // 1, 2 and 4 bits divide a word; 3 do not
  const whole = Number.isInteger(perWord);
  for (let k = 0, at = 0; k < survivors; at += count) {
    bases.set(seen, at);
    const end = Math.min(survivors, k + chunk);
    if (whole) {
      for (; k < end; k += perWord) {
        const last = Math.min(end - k, perWord);
        for (let i = 0, word = ids[k / perWord]!; i < last; i++, word >>>= width) seen[word & (count - 1)]!++;
      }
      k = end;
    } else {
      for (; k < end; k++) {
        const shift = (k * width) & 31;
        const word = (k * width) >>> 5;
        const low = ids[word]! >>> shift;
        seen[(shift > 29 ? low | (ids[word + 1]! << (32 - shift)) : low) & (count - 1)]!++;
      }
    }
  }
  if (seen.some((members, j) => members !== blockSize(survivors, count, j)))
    throw damaged('a block does not have its share of survivors');
  return bases;
}
