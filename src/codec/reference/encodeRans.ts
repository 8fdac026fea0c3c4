// The encoder of family `rans` as FORMAT.md tells it: lists, loops and no tricks. It defines the bytes that the GPU and
// the fast CPU encoder must equal; nobody runs it where time matters. After arXiv 2511.11664.
import { type EncodedTensor, type RansPlan, TENSOR_FLAGS } from '../params.ts';
import { codeOf, fitQuantiser, stepsOf } from './aiq.ts';
import { chooseColumns } from './chooseColumns.ts';
import { exactPrice, type FeatureStatistics } from './columnModel.ts';
import { countSymbols, toCsr } from './csr.ts';
import { fixedPoint, sanitise } from './float.ts';
import { LaneEncoder, writeStream } from './rans.ts';
import { alphabetOf, defaultLanes, writeRansParams } from './ransLayout.ts';
import { cumulative, normalise } from './ransTable.ts';

/**
 * @param data float32 elements, row-major, at most 2^24; not modified
 * @throws IsthmusError FEATURE_NOT_FINITE under `plan.strict`
 */
export function encodeRans(data: Float32Array, shape: readonly number[], plan: RansPlan): EncodedTensor {
  const { bits, replaced } = sanitise(data, plan.strict);
  const flags = replaced ? TENSOR_FLAGS.SANITISED : 0;
  const tensor = { family: 'rans', dtype: 'float32', shape } as const;
  if (bits.every((b) => b === bits[0])) {
    const params = new Uint8Array(4);
    new DataView(params.buffer).setUint32(0, bits[0] ?? 0, true);
    return { ...tensor, flags: flags | TENSOR_FLAGS.CONST, params, payload: new Uint8Array(0) };
  }

  const magnitude = (b: number) => b & 0x7fffffff;
  const isNegative = (b: number) => b >>> 31 === 1;
  const positive = bits.reduce((m, b) => (isNegative(b) ? m : Math.max(m, b)), 0);
  const negative = bits.reduce((m, b) => (isNegative(b) ? Math.max(m, magnitude(b)) : m), 0);
  const quantiser = fitQuantiser(plan.bits, positive, negative);
  const steps = stepsOf(quantiser);
  const codes = Array.from(bits, (b) =>
    codeOf(fixedPoint(magnitude(b), quantiser.exponent), isNegative(b), steps),
  );

  const { feature, exact } = columnChoice(codes, steps.zero, plan);
  const columns = chooseColumns(feature, exact);
  const symbols = toCsr(codes, steps.zero, columns);
  const table = normalise(countSymbols(symbols, alphabetOf(plan.bits, columns)));
  const lanes = feature.lanesFor(symbols.length);
  const csr = { columns, rows: codes.length / columns, present: feature.present };
  return {
    ...tensor,
    flags,
    params: writeRansParams({ quantiser, csr, lanes, table }),
    payload: encodeSymbols(symbols, table, lanes),
  };
}

/** What the choice of K looks at: statistics, and the exact price of each width in 1/4096 bits. */
function columnChoice(codes: readonly number[], background: number, { bits, lanes }: RansPlan) {
  const values = countSymbols(codes, 2 ** bits);
  values[background] = 0;
  const feature: FeatureStatistics = {
    bits,
    total: codes.length,
    present: values.reduce((a, b) => a + b, 0),
    values,
    lanesFor: (count) => lanes ?? defaultLanes(count),
  };
  const exact = (columns: number) => {
    const symbols = toCsr(codes, background, columns);
    return exactPrice(countSymbols(symbols, alphabetOf(bits, columns)), feature.lanesFor(symbols.length));
  };
  return { feature, exact };
}

/** Lane l codes symbols l, l + lanes, …, the last one first. */
function encodeSymbols(symbols: readonly number[], table: Uint16Array, lanes: number): Uint8Array {
  const sums = cumulative(table);
  const encoders = Array.from({ length: lanes }, () => new LaneEncoder());
  for (let i = symbols.length - 1; i >= 0; i--) {
    const symbol = symbols[i]!;
    encoders[i % lanes]!.put(table[symbol]!, sums[symbol]!);
  }
  return writeStream(encoders.map((lane) => lane.finish()));
}
