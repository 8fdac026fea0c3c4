// `isthmus bench rans`: what the search for N costs beside trying every divisor, how close the stream comes to the entropy
// of its symbols, and how fast one thread encodes and decodes. Synthetic features, so that it needs no data.
import { decodeRans } from '../src/codec/cpu/decodeRans.ts';
import { encodeRans, regretOf } from '../src/codec/cpu/encodeRans.ts';
import { decodeStream, slotsOfTable } from '../src/codec/cpu/ransLanes.ts';
import { readRansParams, symbolCount } from '../src/codec/reference/ransLayout.ts';
import { channels } from '../src/codec/reference/ransVectors.ts';
import { type BenchOptions, machine, median, publish, type Row } from './report.ts';

/** Channels, elements of each, and how much a ReLU cuts away; none for a linear layer. */
const LAYERS = [
  [64, 196, 0.1],
  [32, 784, undefined],
  [128, 784, 0.1],
  [128, 784, 0.6],
  [256, 3136, 0.3],
] as const;
const BITS = [4, 6, 8];

/** Prints one row per layer and number of bits. */
export async function benchRans(options: BenchOptions): Promise<void> {
  const rounds = options.quick ? 5 : 25;
  const rows = LAYERS.flatMap(([count, size, bias]) =>
    BITS.map((bits) => measure(count, size, bias, bits, rounds)),
  );
  await publish({ machine: machine(), adapter: 'CPU, one thread', rows }, options);
}

function measure(count: number, size: number, bias: number | undefined, bits: number, rounds: number): Row {
  const data = channels(count * size, size, count + size, bias);
  const plan = { bits, lanes: undefined, strict: false };
  const encoded = encodeRans(data, [count, size], plan);
  const { csr, lanes, table } = readRansParams(encoded.params, data.length);
  const symbols = new Uint8Array(symbolCount(csr));
  const slots = slotsOfTable(table);
  const millions = symbols.length / 1e6;
  const perSecond = (run: () => void) => millions / (medianTime(run, rounds) / 1000);
  const encodeRate = perSecond(() => encodeRans(data, [count, size], plan));
  const decodeRate = perSecond(() => decodeRans(encoded, data.length));
  const coderRate = perSecond(() => decodeStream(encoded.payload, lanes, slots, symbols));
  const { chosen, optimum, regretBits, optimumBits } = regretOf(data, plan);
  return {
    feature: `${count} × ${size}${bias === undefined ? ', linear' : ''}`,
    Q: bits,
    present: csr.present / data.length,
    'bit/element': (8 * (encoded.payload.length + encoded.params.length)) / data.length,
    K: chosen,
    'best K': optimum,
    'regret %': (100 * regretBits) / optimumBits,
    'stream / entropy': (8 * encoded.payload.length) / entropyOf(symbols),
    lanes,
    'encode Msym/s': encodeRate,
    'decode Msym/s': decodeRate,
    'coder alone': coderRate,
  };
}

function medianTime(run: () => void, rounds: number): number {
  const times: number[] = [];
  for (let round = -3; round < rounds; round++) {
    const start = performance.now();
    run();
    if (round >= 0) times.push(performance.now() - start);
  }
  return median(times);
}

/** Order-0 entropy in bits. */
function entropyOf(symbols: Uint8Array): number {
  const counts = new Uint32Array(256);
  for (const s of symbols) counts[s]!++;
  return counts.reduce((sum, h) => sum + (h > 0 ? h * Math.log2(symbols.length / h) : 0), 0);
}
