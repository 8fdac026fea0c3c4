// Items of several requests become one batch and come apart again. The batch is the first dimension of every tensor and
// layout is row-major, so stacking is concatenation; whether a model allows it is decided elsewhere.
import { fromHalf } from '../../model/topLabels.ts';
import type { DType, Tensor, TensorData, Tensors } from '../../tensor.ts';

/** Rows of an item: the first dimension that all its tensors share; undefined where there is none. */
export function rowsOf(tensors: Record<string, { shape: readonly number[] }>): number | undefined {
  const rows = new Set(Object.values(tensors).map(({ shape }) => shape[0]));
  return rows.size === 1 ? [...rows][0] : undefined;
}

/**
 * @param items at least one; the same names, element types and shapes but for the first dimension
 * @returns one tensor per name; that of a single item is its own, not a copy
 */
export function stack(items: readonly Tensors[]): Tensors {
  const [first] = items;
  if (items.length === 1 || !first) return first ?? {};
  return Object.fromEntries(
    Object.entries(first).map(([name, { dtype, shape, data }]) => {
      const parts = items.map((item) => item[name]!);
      const length = parts.reduce((sum, part) => sum + part.data.length, 0);
      const all = new (data.constructor as new (length: number) => TensorData)(length);
      let at = 0;
      for (const part of parts) {
        all.set(part.data as Float32Array & BigInt64Array, at);
        at += part.data.length;
      }
      const rows = parts.reduce((sum, part) => sum + part.shape[0]!, 0);
      return [name, { dtype, shape: [rows, ...shape.slice(1)], data: all }];
    }),
  );
}

/**
 * @param rows of each item, in the order in which they were stacked
 * @returns copies, so that what one request holds does not keep the others' answers in memory
 * @throws Error when a tensor has another number of rows: the model does something else with the batch
 */
export function unstack(stacked: Tensors, rows: readonly number[]): Tensors[] {
  const all = rows.reduce((sum, n) => sum + n, 0);
  for (const [name, { shape }] of Object.entries(stacked))
    if (shape[0] !== all) throw new Error(`'${name}' has shape [${shape}] for a batch of ${all}`);
  let at = 0;
  return rows.map((n) => {
    const from = at;
    at += n;
    return Object.fromEntries(
      Object.entries(stacked).map(([name, tensor]) => [name, rowsFrom(tensor, from, n, all)]),
    );
  });
}

function rowsFrom({ dtype, shape, data }: Tensor, from: number, rows: number, all: number): Tensor {
  const row = data.length / all;
  return { dtype, shape: [rows, ...shape.slice(1)], data: data.slice(from * row, (from + rows) * row) };
}

/** The same elements in the opposite order: an item that is valid wherever the first one is, and different from it. */
export function reversed(tensors: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, data }]) => [
      name,
      { dtype, shape, data: data.slice().reverse() },
    ]),
  );
}

/** Tensors count as equal within this much of the largest magnitude: far above the rounding of a reordered sum. */
const TOLERANCE: Partial<Record<DType, number>> = { float64: 1e-3, float32: 1e-3, float16: 1e-2 };

/** Whether both hold the same but for rounding; whole numbers must be the same. */
export function nearlyEqual(a: Tensors, b: Tensors): boolean {
  return Object.entries(a).every(([name, { dtype, data }]) => {
    const other = b[name]?.data;
    if (other?.length !== data.length) return false;
    const tolerance = TOLERANCE[dtype];
    if (tolerance === undefined) return data.every((x, i) => x === other[i]);
    const number = dtype === 'float16' ? fromHalf : Number;
    let [largest, difference] = [0, 0];
    for (let i = 0; i < data.length; i++) {
      const [x, y] = [number(Number(data[i])), number(Number(other[i]))];
      if (Object.is(x, y)) continue;
      largest = Math.max(largest, Math.abs(x));
      const apart = Math.abs(x - y);
      difference = Number.isNaN(apart) ? Number.POSITIVE_INFINITY : Math.max(difference, apart);
    }
    return difference <= tolerance * largest;
  });
}
