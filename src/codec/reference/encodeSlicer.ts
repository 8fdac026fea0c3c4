// The slicer encoder as FORMAT.md tells it: sorts, loops and no tricks. It defines the bytes that the GPU and the fast
// CPU encoder must equal; nobody runs it where time matters. After SLICER, arXiv 2511.11608.
import { type EncodedTensor, type SlicerPlan, survivorLimit, TENSOR_FLAGS } from '../params.ts';
import { BitWriter } from './bits.ts';
import { fixedPoint, sanitise, sharedExponent, survivalKey } from './float.ts';
import { blockSize, layOut, POSITIONS, type SlicerBlock, writeParams } from './slicerLayout.ts';

/**
 * @param data float32 elements, row-major; not modified
 * @throws IsthmusError FEATURE_NOT_FINITE under `plan.strict`
 */
export function encodeSlicer(data: Float32Array, shape: readonly number[], plan: SlicerPlan): EncodedTensor {
  const { bits, replaced } = sanitise(data, plan.strict);
  const flags = replaced ? TENSOR_FLAGS.SANITISED : 0;
  const tensor = { family: 'slicer', dtype: 'float32', shape } as const;
  if (bits.every((b) => b === bits[0])) {
    const params = new Uint8Array(4);
    new DataView(params.buffer).setUint32(0, bits[0] ?? 0, true);
    return { ...tensor, flags: flags | TENSOR_FLAGS.CONST, params, payload: new Uint8Array(0) };
  }

  const magnitude = (i: number) => bits[i]! & 0x7fffffff;
  const negative = (i: number) => bits[i]! >>> 31;
  const survivors = filter(bits, plan);
  const exponent = sharedExponent(survivors.reduce((m, i) => Math.max(m, magnitude(i)), 0));
  const units = (i: number) => fixedPoint(magnitude(i), exponent);
  const members = splitByMagnitude(survivors, magnitude, plan.blocks);
  const top = members[0]!.reduce((m, i) => Math.max(m, units(i)), 0);
  const blocks = members.map((indices) => quantiser(indices.map(units), top, plan));

  const signed = survivors.some(negative);
  const header = { survivors: survivors.length, exponent, blocks };
  const { mode, indexWidth } = layOut(bits.length, header, signed);
  const out = new BitWriter();
  if (mode === POSITIONS.bitmap) {
    const kept = new Set(survivors);
    for (let i = 0; i < bits.length; i++) out.write(kept.has(i) ? 1 : 0, 1);
  }
  if (mode === POSITIONS.list) for (const i of survivors) out.write(i, indexWidth);
  out.align();
  const blockOf = new Map(members.flatMap((indices, j) => indices.map((i) => [i, j] as const)));
  for (const i of survivors) out.write(blockOf.get(i)!, Math.log2(plan.blocks));
  out.align();
  if (signed) for (const i of survivors) out.write(negative(i), 1);
  out.align();
  members.forEach((indices, j) => {
    for (const i of indices) out.write(code(units(i), blocks[j]!, blocks[j]!.width), blocks[j]!.width);
    out.align();
  });
  return {
    ...tensor,
    flags: flags | (signed ? TENSOR_FLAGS.SIGNED : 0),
    params: writeParams(header, mode),
    payload: out.bytes(),
  };
}

/** ATKF: indices of the survivors, rising. */
function filter(bits: Uint32Array, plan: SlicerPlan): number[] {
  const keys = Array.from(bits, (b) => survivalKey(b, plan.asymmetryQ8));
  return [...keys.keys()]
    .filter((i) => keys[i]! > 0)
    .sort((i, j) => keys[j]! - keys[i]! || i - j)
    .slice(0, survivorLimit(bits.length, plan.keepQ16))
    .sort((i, j) => i - j);
}

/** MS: the survivors of each block, largest magnitudes in block 0, indices rising within a block. */
function splitByMagnitude(survivors: number[], magnitude: (i: number) => number, blocks: number): number[][] {
  const ranked = [...survivors].sort((i, j) => magnitude(j) - magnitude(i) || i - j);
  return Array.from({ length: blocks }, (_, j) =>
    ranked.splice(0, blockSize(survivors.length, blocks, j)).sort((a, b) => a - b),
  );
}

/** ABQ: bounds and bit width of one block from its fixed-point magnitudes. */
function quantiser(units: number[], top: number, plan: SlicerPlan): SlicerBlock {
  if (units.length === 0) return { lo: 0, hi: 0, width: 0 };
  const lo = units.reduce((a, b) => Math.min(a, b));
  const hi = units.reduce((a, b) => Math.max(a, b));
  const range = hi - lo;
  if (range === 0) return { lo, hi, width: 0 };
  const enough = (width: number): boolean => {
    if (plan.mode === 'step') {
      const step = ((top >>> 8) * plan.budgetQ16) / 256;
      return (2 ** width - 1) * Math.floor(step) >= range;
    }
    const drop = 8 - width;
    const half = drop > 0 ? 1 << (drop - 1) : 0;
    const error = units.reduce((sum, u) => {
      const q8 = code(u, { lo, hi }, 8);
      return sum + Math.abs(q8 - (((q8 + half) >> drop) << drop));
    }, 0);
    const n = units.length;
    return error <= (n >>> 8) * plan.budgetQ16 + Math.floor(((n & 255) * plan.budgetQ16) / 256);
  };
  const width = [1, 2, 3, 4, 5, 6, 7].find(enough) ?? 8;
  return { lo, hi, width };
}

/** Code of u at a bit width: the nearest of 2^width evenly spaced levels from lo to hi, halves up. */
function code(u: number, { lo, hi }: Pick<SlicerBlock, 'lo' | 'hi'>, width: number): number {
  if (width === 0) return 0;
  const range = hi - lo;
  return Math.floor(((u - lo) * (2 ** width - 1) + Math.floor(range / 2)) / range);
}
