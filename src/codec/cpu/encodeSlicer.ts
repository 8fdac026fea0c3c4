// The fast slicer encoder: for the browser's wasm path and for Node. Byte for byte what codec/reference makes, by radix
// selection and packing in place of sorts and bit lists. The flow is FORMAT.md's: filter, split, quantise, pack.
import { type EncodedTensor, type SlicerPlan, survivorLimit, TENSOR_FLAGS } from '../params.ts';
import { notFinite, sanitise, sharedExponent, survivalKey } from '../reference/float.ts';
import { blockSize, layOut, POSITIONS, type SlicerHeader, writeParams } from '../reference/slicerLayout.ts';
import { putBits } from './bitWriter.ts';
import { chooseWidth, codesOf8Bits } from './chooseWidth.ts';
import { selectRanks } from './selectRanks.ts';

const MAGNITUDE = 0x7fffffff;

/** What survives the filter, in rising index order. */
interface Survivors {
  count: number;
  index: Uint32Array;
  /** Magnitude patterns. */
  magnitude: Uint32Array;
  negative: Uint8Array;
  signed: boolean;
  largest: number;
}

/**
 * @param data float32 elements, row-major; not modified
 * @throws IsthmusError FEATURE_NOT_FINITE under `plan.strict`
 */
export function encodeSlicer(data: Float32Array, shape: readonly number[], plan: SlicerPlan): EncodedTensor {
  const source = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const clean = allFinite(source);
  if (!clean && plan.strict) throw notFinite();
  const bits = clean ? source : sanitise(data, false).bits;
  const flags = clean ? 0 : TENSOR_FLAGS.SANITISED;
  const tensor = { family: 'slicer', dtype: 'float32', shape } as const;
  if (isConstant(bits)) {
    const params = new Uint8Array(4);
    const value = bits.length && bits[0] !== 0x80000000 ? bits[0]! : 0;
    new DataView(params.buffer).setUint32(0, value, true);
    return { ...tensor, flags: flags | TENSOR_FLAGS.CONST, params, payload: new Uint8Array(0) };
  }

  const kept = filter(bits, plan);
  const block = splitByMagnitude(kept, plan.blocks);
  const exponent = sharedExponent(kept.largest);
  const units = toFixedPoint(kept, exponent);
  const header: SlicerHeader = {
    survivors: kept.count,
    exponent,
    blocks: quantisers(units, block, kept.count, plan),
  };
  const sections = layOut(bits.length, header, kept.signed);
  const words = new Uint32Array(sections.end);
  packPositions(words, kept, sections.mode, sections.indexWidth);
  packBlocksAndSigns(words, kept, block, plan.blocks, sections.ids, sections.signs);
  packCodes(words, units, block, header, sections.codes);
  return {
    ...tensor,
    flags: flags | (kept.signed ? TENSOR_FLAGS.SIGNED : 0),
    params: writeParams(header, sections.mode),
    payload: new Uint8Array(words.buffer),
  };
}

function allFinite(bits: Uint32Array): boolean {
  for (let i = 0; i < bits.length; i++) if ((bits[i]! & MAGNITUDE) >= 0x7f800000) return false;
  return true;
}

/** -0 counts as +0. */
function isConstant(bits: Uint32Array): boolean {
  const plain = (x: number) => (x === 0x80000000 ? 0 : x);
  for (let i = 1; i < bits.length; i++)
    if (bits[i] !== bits[0] && plain(bits[i]!) !== plain(bits[0]!)) return false;
  return true;
}

/** ATKF. -0 needs no care here: its key is 0, so it never survives. */
function filter(bits: Uint32Array, plan: SlicerPlan): Survivors {
  const total = bits.length;
  const keys = new Uint32Array(total);
  let alive = 0;
  for (let i = 0; i < total; i++) {
    const key = plan.asymmetryQ8 === 256 ? bits[i]! & MAGNITUDE : survivalKey(bits[i]!, plan.asymmetryQ8);
    keys[i] = key;
    alive += key > 0 ? 1 : 0;
  }
  const count = Math.min(alive, survivorLimit(total, plan.keepQ16));
  let threshold = 0;
  let ties = 0;
  if (count > 0 && count < alive) {
    const { value, larger } = selectRanks(keys, total, [count])[0]!;
    threshold = value;
    ties = count - larger;
  }

  const index = new Uint32Array(count);
  const magnitude = new Uint32Array(count);
  const negative = new Uint8Array(count);
  let signs = 0;
  let largest = 0;
  for (let i = 0, k = 0; k < count; i++) {
    const key = keys[i]!;
    if (key > threshold || (key === threshold && ties-- > 0)) {
      const x = bits[i]!;
      const a = x & MAGNITUDE;
      index[k] = i;
      magnitude[k] = a;
      negative[k] = x >>> 31;
      signs |= x;
      if (a > largest) largest = a;
      k++;
    }
  }
  return { count, index, magnitude, negative, signed: signs < 0, largest };
}

/** MS: the block of every survivor. */
function splitByMagnitude({ count, magnitude }: Survivors, blocks: number): Uint8Array {
  const block = new Uint8Array(count);
  const size = Math.ceil(count / blocks);
  const ends: number[] = [];
  for (let rank = size; rank > 0 && rank < count; rank += size) ends.push(rank);
  if (ends.length === 0) return block;
  const bounds = selectRanks(magnitude, count, ends);
  const value = Uint32Array.from(bounds, (b) => b.value);
  const nextRank = Uint32Array.from(bounds, (b) => b.larger); // of the next survivor that ties with the bound
  for (let k = 0; k < count; k++) {
    const a = magnitude[k]!;
    let j = 0;
    while (j < value.length && a < value[j]!) j++;
    block[k] = j < value.length && a === value[j] ? Math.floor(nextRank[j]!++ / size) : j;
  }
  return block;
}

function toFixedPoint({ count, magnitude }: Survivors, exponent: number): Uint32Array {
  const units = new Uint32Array(count);
  for (let k = 0; k < count; k++) {
    const a = magnitude[k]!;
    const e = a >>> 23;
    const m = e > 0 ? (a & 0x7fffff) | 0x800000 : a;
    const shift = exponent - (e > 0 ? e : 1);
    units[k] = shift === 0 ? m : shift > 24 ? 0 : (m + (1 << (shift - 1))) >>> shift;
  }
  return units;
}

/** ABQ: bounds and width of every block. */
function quantisers(
  units: Uint32Array,
  block: Uint8Array,
  count: number,
  plan: SlicerPlan,
): SlicerHeader['blocks'] {
  const lo = new Uint32Array(plan.blocks).fill(0xffffffff);
  const hi = new Uint32Array(plan.blocks);
  for (let k = 0; k < count; k++) {
    const u = units[k]!;
    const j = block[k]!;
    if (u < lo[j]!) lo[j] = u;
    if (u > hi[j]!) hi[j] = u;
  }
  const histograms = plan.mode === 'integer' ? codesOf8Bits(units, block, lo, hi) : undefined;
  return Array.from({ length: plan.blocks }, (_, j) => {
    const size = blockSize(count, plan.blocks, j);
    if (size === 0) return { lo: 0, hi: 0, width: 0 };
    const range = hi[j]! - lo[j]!;
    const width = chooseWidth(range, size, hi[0]!, plan, histograms?.subarray(j * 256, j * 256 + 256));
    return { lo: lo[j]!, hi: hi[j]!, width };
  });
}

function packPositions(words: Uint32Array, { count, index }: Survivors, mode: number, width: number): void {
  if (mode === POSITIONS.bitmap)
    for (let k = 0; k < count; k++) words[index[k]! >>> 5]! |= 1 << (index[k]! & 31);
  if (mode === POSITIONS.list) for (let k = 0; k < count; k++) putBits(words, k * width, index[k]!, width);
}

function packBlocksAndSigns(
  words: Uint32Array,
  { count, negative, signed }: Survivors,
  block: Uint8Array,
  blocks: number,
  ids: number,
  signs: number,
): void {
  const width = Math.log2(blocks);
  if (width > 0) for (let k = 0; k < count; k++) putBits(words, ids * 32 + k * width, block[k]!, width);
  if (signed) for (let k = 0; k < count; k++) words[signs + (k >>> 5)]! |= negative[k]! << (k & 31);
}

function packCodes(
  words: Uint32Array,
  units: Uint32Array,
  block: Uint8Array,
  { blocks }: SlicerHeader,
  starts: number[],
): void {
  const at = Float64Array.from(starts, (word) => word * 32);
  const lo = Float64Array.from(blocks, (b) => b.lo);
  const range = Float64Array.from(blocks, (b) => b.hi - b.lo);
  const top = Float64Array.from(blocks, (b) => 2 ** b.width - 1);
  const half = range.map((r) => Math.floor(r / 2));
  for (let k = 0; k < units.length; k++) {
    const j = block[k]!;
    const { width } = blocks[j]!;
    if (width === 0) continue;
    const code = ((units[k]! - lo[j]!) * top[j]! + half[j]!) / range[j]!; // truncated below; exact, all under 2^53
    putBits(words, at[j]!, code >>> 0, width);
    at[j]! += width;
  }
}
