// The WebAssembly encoder of family `rans`: byte for byte what codec/reference makes. Where it cannot run, and for what needs
// no speed (constants, a refusal under `strict`), it gives nothing, and the encoder in codec/cpu does the work.
import type { EncodedTensor, RansPlan } from '../params.ts';
import { fitQuantiser, stepsOf } from '../reference/aiq.ts';
import { chooseColumns } from '../reference/chooseColumns.ts';
import { exactPrice, type FeatureStatistics } from '../reference/columnModel.ts';
import { alphabetOf, defaultLanes, symbolCount, writeRansParams } from '../reference/ransLayout.ts';
import { normalise } from '../reference/ransTable.ts';
import { type Arena, MAX_ELEMENTS, withArena } from './arena.ts';
import { loadElements } from './loadElements.ts';
import { encodeStream } from './ransStream.ts';

/**
 * @param data float32 elements, row-major; not modified
 * @returns `undefined`: ask codec/cpu
 */
export function encodeRans(
  data: Float32Array,
  shape: readonly number[],
  plan: RansPlan,
): EncodedTensor | undefined {
  const total = data.length;
  if (total === 0 || total > MAX_ELEMENTS) return undefined;
  return withArena((arena) => {
    const { kernels } = arena;
    const source = arena.take(4 * total + 64);
    const codes = arena.take(total + 32);
    const histograms = arena.take(4 * 1024);
    arena.grow();
    const extent = loadElements(arena, data, plan.strict, source);
    if (!extent) return undefined;
    const { positive, negative, flags } = extent;

    const quantiser = fitQuantiser(plan.bits, positive, negative);
    const { range, top, zero } = stepsOf(quantiser);
    kernels.ransQuantise(source, total, quantiser.exponent, range, top, zero, codes);
    kernels.countBytes(codes, total, histograms);
    const values = arena.words(histograms, 2 ** plan.bits).slice();
    const present = total - values[zero]!;
    values[zero] = 0;
    const lanesFor = (symbols: number) => plan.lanes ?? defaultLanes(symbols);
    const feature: FeatureStatistics = { bits: plan.bits, total, present, values, lanesFor };

    const countsAt = columnCounter(arena, codes, feature, zero);
    const exact = (columns: number) =>
      exactPrice(countsAt(columns), lanesFor(symbolCount({ present, rows: total / columns })));
    const columns = chooseColumns(feature, exact);
    const table = normalise(countsAt(columns));
    const csr = { columns, rows: total / columns, present };
    const count = symbolCount(csr);
    const lanes = lanesFor(count);

    const symbols = arena.take(count);
    const taken = arena.take(present + 8);
    const places = arena.take(present + 8);
    arena.grow();
    kernels.csrSymbols(codes, total, columns, zero, taken, places, symbols + 2 * present);
    arena.bytes(symbols, present).set(arena.bytes(taken, present));
    arena.bytes(symbols + present, present).set(arena.bytes(places, present));
    return {
      family: 'rans',
      dtype: 'float32',
      shape,
      flags,
      params: writeRansParams({ quantiser, csr, lanes, table }),
      payload: encodeStream(arena, symbols, count, table, lanes),
    };
  });
}

/** The histogram of D for a number of columns; each is counted once. */
function columnCounter(
  arena: Arena,
  codes: number,
  { bits, total, values }: FeatureStatistics,
  zero: number,
): (columns: number) => Uint32Array {
  const columnCounts = arena.take(272 * 4);
  const rowCounts = arena.take(256 * 4);
  const sums = arena.take(272);
  arena.grow();
  const known = new Map<number, Uint32Array>();
  return (columns) => {
    const before = known.get(columns);
    if (before) return before;
    arena.kernels.csrCount(codes, total, columns, zero, columnCounts, rowCounts, sums);
    const inColumn = arena.words(columnCounts, columns);
    const inRow = arena.words(rowCounts, columns + 1);
    const counts = new Uint32Array(alphabetOf(bits, columns));
    counts.set(values as Uint32Array);
    for (let s = 0; s < columns; s++) counts[s]! += inColumn[s]!;
    for (let s = 0; s <= columns; s++) counts[s]! += inRow[s]!;
    known.set(columns, counts);
    return counts;
  };
}
