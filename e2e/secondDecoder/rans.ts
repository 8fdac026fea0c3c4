// Family rans: a matrix N × K in modified CSR, every number of it from one table, codes asymmetric around z.
import { Bytes } from './bytes.ts';
import { packFloats } from './elements.ts';
import { decodeConst, demandQuantisable } from './plainFamilies.ts';
import { readSentTable } from './ransCoder.ts';
import { readLanes } from './ransStream.ts';
import { demand } from './refuse.ts';
import { CONST, SIGNED, type TensorRecord } from './tensorRecord.ts';

/** The elements as bytes. */
export function decodeRans(tensor: TensorRecord): Uint8Array {
  const T = demandQuantisable(tensor);
  if (tensor.flags & CONST) return decodeConst(tensor, T);
  demand((tensor.flags & SIGNED) === 0, 'flags other than SANITISED and CONST');
  demand(T > 0, 'T = 0 without CONST');

  const params = new Bytes(tensor.params);
  const Q = params.uint(1, 'params');
  const logLanes = params.uint(1, 'params');
  const E = params.uint(1, 'params');
  const reserved = params.uint(1, 'params');
  const N = params.uint(4, 'params');
  const S = params.uint(4, 'params');
  const minusLo = params.uint(4, 'params');
  const hi = params.uint(4, 'params');
  demand(
    Q >= 2 && Q <= 8 && logLanes <= 10 && E >= 1 && E <= 254 && reserved === 0,
    'Q, L, E or reserved byte',
  );
  demand(N > 0 && T % N === 0 && T / N <= 255, 'N·K');
  demand(S <= T, 'S > T');
  demand(minusLo < 2 ** 24 && hi < 2 ** 24 && minusLo + hi > 0, '-lo or hi');
  const K = T / N;
  const table = readSentTable(params, Math.max(2 ** Q, K + 1));
  demand(params.left === 0, 'params length');

  const n = 2 ** Q - 1;
  const r = minusLo + hi;
  const z = Math.min(n, Math.floor((minusLo * n + Math.floor(r / 2)) / r));
  const lanes = readLanes(tensor.payload, 2 ** logLanes);
  const D = Array.from({ length: 2 * S + N }, (_, i) => lanes[i % lanes.length]!.symbol(table));
  for (const lane of lanes) lane.end();

  const values = new Float32Array(T);
  let next = 0;
  for (let row = 0; row < N; row++) {
    const inRow = D[2 * S + row]!;
    demand(inRow <= K && next + inRow <= S, 'row counts');
    for (let i = 0, before = -1; i < inRow; i++, next++) {
      const q = D[next]!;
      const column = D[S + next]!;
      demand(q !== z && q <= n, 'a code that is z or above n');
      demand(column > before && column < K, 'columns do not rise or reach K');
      before = column;
      const d = Math.abs(q - z);
      const u = d * Math.floor(r / n) + Math.floor((d * (r % n) + Math.floor(n / 2)) / n);
      values[row * K + column] = (q < z ? -1 : 1) * Math.min(2 ** 24 - 1, u) * 2 ** (E - 150);
    }
  }
  demand(next === S, 'row counts do not sum to S');
  return packFloats(values, tensor.type);
}
