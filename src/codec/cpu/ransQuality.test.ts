// What family `rans` promises in figures: the stream close to the entropy of its symbols, and the chosen width close to
// the best one. The benchmark prints speeds; here only what does not depend on the machine.
import { describe, expect, test } from 'vitest';
import { binomialWeights, log2Q12 } from '../reference/columnModel.ts';
import { readRansParams, symbolCount } from '../reference/ransLayout.ts';
import { channels } from '../reference/ransVectors.ts';
import { encodeRans, regretOf } from './encodeRans.ts';
import { decodeStream, slotsOfTable } from './ransLanes.ts';

const planOf = (bits: number) => ({ bits, lanes: undefined, strict: false });

/** Order-0 entropy of all symbols together, in bits. */
function entropyOf(symbols: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const s of symbols) counts[s]!++;
  return counts.reduce((sum, h) => sum + (h > 0 ? h * Math.log2(symbols.length / h) : 0), 0);
}

/** Shapes and biases of layers: C × H·W, and how much the ReLU cuts away (none: a linear layer). */
const LAYERS = [
  [64, 196, 0.1],
  [128, 784, 0.1],
  [128, 784, 0.5],
  [160, 49, undefined],
  [64, 196, undefined],
  [96, 729, 0.3],
  [256, 169, 0.2],
  [32, 3136, 0.8],
] as const;

describe.each(LAYERS)('%i channels of %i, bias %s', (count, size, bias) => {
  const data = channels(count * size, size, count + size, bias);

  test.each([4, 6, 8])('Q = %i: the chosen K costs at most 2 %% more than the best divisor', (bits) => {
    const { regretBits, optimumBits } = regretOf(data, planOf(bits));
    expect(regretBits).toBeGreaterThanOrEqual(0);
    expect(regretBits / optimumBits).toBeLessThan(0.02);
  });

  test.each([4, 6])(
    'Q = %i: the stream is at most 2 %% above the entropy of D, and as dear as its price',
    (bits) => {
      const { params, payload } = encodeRans(data, [data.length], planOf(bits));
      const { csr, lanes, table } = readRansParams(params, data.length);
      const length = symbolCount(csr);
      const symbols = new Uint8Array(length);
      decodeStream(payload, lanes, slotsOfTable(table), symbols);
      const entropy = entropyOf(symbols);
      if (length >= 16_384) expect((8 * payload.length) / entropy).toBeLessThan(1.02);
      const { chosen, optimumBits, regretBits } = regretOf(data, planOf(bits));
      expect(csr.columns).toBe(chosen);
      const sent = 8 * (payload.length + params.length - 20);
      expect(Math.abs(sent - optimumBits - regretBits) / sent).toBeLessThan(0.02);
      expect(lanes).toBe(length < 8192 ? 1 : 2 ** Math.floor(Math.log2(length / 4096)));
    },
  );
});

test('the whole-number logarithm is within 2/4096 of the real one, never above it, and exact for powers of two', () => {
  for (let x = 1; x < 2 ** 32; x = Math.ceil(x * 1.0137)) {
    const excess = Math.log2(x) * 4096 - log2Q12(x);
    expect(excess).toBeGreaterThan(-1e-6);
    expect(excess).toBeLessThan(2);
  }
  for (let k = 0; k < 32; k++) expect(log2Q12(2 ** k)).toBe(4096 * k);
});

test.each([
  [255, 1, 1000],
  [255, 999, 1000],
  [100, 20_000, 50_000],
  [7, 3, 7],
  [64, 64, 64],
  [255, 2 ** 23, 2 ** 24 - 256],
])('binomial weights of %i draws at %i of %i', (n, present, total) => {
  const weights = binomialWeights(n, present, total);
  const p = present / total;
  const logs = Array.from({ length: n + 1 }, (_, k) => {
    let log = k * Math.log(p) + (k < n ? (n - k) * Math.log(1 - p) : 0);
    for (let i = 0; i < k; i++) log += Math.log((n - i) / (i + 1));
    return log;
  });
  const top = Math.max(...logs);
  weights.forEach((weight, k) => {
    expect(Math.abs(weight / 65535 - Math.exp(logs[k]! - top))).toBeLessThan(0.003);
  });
});
