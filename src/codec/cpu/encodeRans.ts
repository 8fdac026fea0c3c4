// The fast encoder of family `rans`: for the browser's wasm path and for Node. Byte for byte what codec/reference makes,
// in three passes over the elements: range, codes, steps of the entropy coder.
import { type EncodedTensor, type RansPlan, TENSOR_FLAGS } from '../params.ts';
import { fitQuantiser, stepsOf } from '../reference/aiq.ts';
import { type ColumnRegret, chooseColumns, columnRegret } from '../reference/chooseColumns.ts';
import { exactPrice, type FeatureStatistics } from '../reference/columnModel.ts';
import { notFinite, sanitise } from '../reference/float.ts';
import { alphabetOf, defaultLanes, writeRansParams } from '../reference/ransLayout.ts';
import { normalise } from '../reference/ransTable.ts';
import { countCsr, type Present, presentElements, stepsOfCsr } from './csrSteps.ts';
import { encodeStream, stepsOfTable } from './ransLanes.ts';

const MAGNITUDE = 0x7fffffff;
const INFINITY = 0x7f800000;

/**
 * @param data float32 elements, row-major, at most 2^24; not modified
 * @throws IsthmusError FEATURE_NOT_FINITE under `plan.strict`
 */
export function encodeRans(data: Float32Array, shape: readonly number[], plan: RansPlan): EncodedTensor {
  let bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let extent = extentOf(bits);
  let flags = 0;
  if (Math.max(extent.positive, extent.negative) >= INFINITY) {
    if (plan.strict) throw notFinite();
    flags = TENSOR_FLAGS.SANITISED;
    bits = sanitise(data, false).bits as Uint32Array<ArrayBuffer>;
    extent = extentOf(bits);
  }
  const tensor = { family: 'rans', dtype: 'float32', shape } as const;
  if (extent.isConstant) {
    const params = new Uint8Array(4);
    const value = bits.length && bits[0] !== 0x80000000 ? bits[0]! : 0;
    new DataView(params.buffer).setUint32(0, value, true);
    return { ...tensor, flags: flags | TENSOR_FLAGS.CONST, params, payload: new Uint8Array(0) };
  }

  const quantiser = fitQuantiser(plan.bits, extent.positive, extent.negative);
  const present = presentElements(bits, quantiser.exponent, stepsOf(quantiser));
  const { feature, countsAt, exact } = columnChoice(present, bits.length, plan);
  const columns = chooseColumns(feature, exact);
  const table = normalise(countsAt(columns));
  const csr = { columns, rows: bits.length / columns, present: present.count };
  const steps = stepsOfCsr(present, csr, stepsOfTable(table));
  const lanes = feature.lanesFor(steps.length);
  return {
    ...tensor,
    flags,
    params: writeRansParams({ quantiser, csr, lanes, table }),
    payload: encodeStream(steps, lanes),
  };
}

interface Extent {
  /** Largest magnitude pattern among elements without and with a sign bit; above the finite ones for Inf and NaN. */
  positive: number;
  negative: number;
  /** All elements have the same bits, once -0 is +0. */
  isConstant: boolean;
}

function extentOf(bits: Uint32Array): Extent {
  let positive = 0;
  let negative = 0;
  let differing = 0;
  const first = bits.length && bits[0] !== 0x80000000 ? bits[0]! : 0;
  for (let i = 0; i < bits.length; i++) {
    const pattern = bits[i]! | 0;
    if (pattern >= 0) {
      if (pattern > positive) positive = pattern;
      differing |= pattern ^ first;
    } else {
      const magnitude = pattern & MAGNITUDE;
      if (magnitude > negative) negative = magnitude;
      differing |= magnitude === 0 ? first : pattern ^ first;
    }
  }
  return { positive, negative, isConstant: differing === 0 };
}

/**
 * What the search for K costs on a feature that is finite and not constant, beside trying every divisor. For tests and
 * benchmarks.
 */
export function regretOf(data: Float32Array, plan: RansPlan): ColumnRegret {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  const { positive, negative } = extentOf(bits);
  const quantiser = fitQuantiser(plan.bits, positive, negative);
  const present = presentElements(bits, quantiser.exponent, stepsOf(quantiser));
  const { feature, exact } = columnChoice(present, data.length, plan);
  return columnRegret(feature, exact);
}

/** What the choice of K looks at. Histograms are kept, because that of the chosen K is needed again. */
function columnChoice(present: Present, total: number, { bits, lanes }: RansPlan) {
  const feature: FeatureStatistics = {
    bits,
    total,
    present: present.count,
    values: present.values,
    lanesFor: (symbols) => lanes ?? defaultLanes(symbols),
  };
  const known = new Map<number, Uint32Array>();
  const countsAt = (columns: number) => {
    const counts = known.get(columns) ?? countCsr(present, total, columns, alphabetOf(bits, columns));
    known.set(columns, counts);
    return counts;
  };
  const exact = (columns: number) =>
    exactPrice(countsAt(columns), feature.lanesFor(2 * present.count + total / columns));
  return { feature, countsAt, exact };
}
