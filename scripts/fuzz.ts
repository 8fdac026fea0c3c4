// `npm run fuzz -- --frames 10000000` or `--minutes 2`: the long form of src/codec/hostile.test.ts. Damaged frames through
// every decoder until one breaks a promise, then a table per family.
import { parseArgs } from 'node:util';
import { Fuzzer } from '../src/codec/fuzz.fixture.ts';

const { values } = parseArgs({
  options: {
    frames: { type: 'string' },
    minutes: { type: 'string' },
    /** The same seed gives the same frames. */
    seed: { type: 'string', default: String(Date.now() & 0x7fffffff) },
  },
});
const frames = values.frames ? Number(values.frames) : values.minutes ? Number.POSITIVE_INFINITY : 200_000;
const until = values.minutes ? Date.now() + 60_000 * Number(values.minutes) : Number.POSITIVE_INFINITY;
if (!(frames > 0) || !(until > 0)) {
  console.error('Give --frames or --minutes a number above 0.');
  process.exit(2);
}

const fuzzer = new Fuzzer(Number(values.seed));
const start = performance.now();
let done = 0;
let failure: unknown;
try {
  for (; done < frames && (done % 256 !== 0 || Date.now() < until); done++) fuzzer.step();
} catch (error) {
  failure = error;
}

const seconds = (performance.now() - start) / 1000;
console.log(`${done} damaged frames in ${seconds.toFixed(0)} s, seed ${values.seed}`);
const codes = [...new Set([...fuzzer.rows.values()].flatMap((row) => Object.keys(row.refused)))].sort();
console.table(
  Object.fromEntries(
    [...fuzzer.rows]
      .sort()
      .map(([family, { refused, slowestMs, slowestOpenMs, compared, byKernels, ...row }]) => [
        family,
        {
          ...row,
          ...Object.fromEntries(codes.map((code) => [code, refused[code] ?? 0])),
          'slowest ms': Number(slowestMs.toFixed(1)),
          'unbounded: ms a million': Number(slowestOpenMs.toFixed(1)),
          'tensors compared': compared,
          'values by WebAssembly': byKernels,
        },
      ]),
  ),
);
if (failure) {
  console.error(
    `Frame ${done + 1} of seed ${values.seed}:`,
    failure instanceof Error ? failure.message : failure,
  );
  process.exit(1);
}
