// `isthmus bench partition`: parts every model of the data folder at every possible cut and holds the chained segments
// against the whole model, on a random input, with onnxruntime-node. Yardstick: 1e-5 relative, float32 rounding.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../src/errors.ts';
import { naturalCuts } from '../src/model/bottlenecks.ts';
import { cutName, sweepCuts } from '../src/model/cuts.ts';
import { randomFeeds, relativeDifference, runChain, runModel } from '../src/model/node/chain.ts';
import { infoOf, openModel } from '../src/model/open.ts';
import { extractChain } from '../src/model/partition.ts';
import { nodeShapeProbe } from '../src/model/probeNode.ts';
import { packageRoot } from './datasets.ts';
import { type BenchOptions, machine, publish, type Row } from './report.ts';

/** Largest |whole - chained| / largest |whole| that counts as equal. */
const TOLERANCE = 1e-5;
/** With `--quick`, every so many cuts. */
const STRIDE = 16;

/**
 * Prints one row per model: cuts tested, worst difference and where it was.
 *
 * @throws IsthmusError INTERNAL when a chain does not equal its model.
 */
export async function benchPartition(options: BenchOptions): Promise<void> {
  const folder = join(
    options.data ?? process.env.ISTHMUS_DATA ?? join(packageRoot, '../shared/data'),
    'models',
  );
  const names = await readdir(folder).catch((cause) => {
    throw new IsthmusError(
      'OPTION_INVALID',
      `There are no models in ${folder}. Name a data folder with --data.`,
      {
        cause,
      },
    );
  });
  const rows: Row[] = [];
  for (const name of names.filter((n) => n.endsWith('.onnx')).sort()) {
    rows.push(
      await sweep(name.replace(/\.onnx$/, ''), await readFile(join(folder, name)), options.quick ?? false),
    );
  }
  await publish({ machine: machine(), adapter: 'onnxruntime-node, CPU, one thread', rows }, options);
  const bad = rows.filter((row) => !(Number(row.worst) <= TOLERANCE));
  if (bad.length > 0) {
    throw new IsthmusError(
      'INTERNAL',
      `Chained and whole differ: ${bad.map((row) => row.model).join(', ')}. Please report it.`,
    );
  }
}

async function sweep(name: string, bytes: Uint8Array, quick: boolean): Promise<Row> {
  const start = performance.now();
  const model = await openModel(bytes, { probe: nodeShapeProbe });
  const natural = naturalCuts(model);
  const feeds = randomFeeds(model.graph.inputs.map((input) => infoOf(model, input.name)));
  const whole = await runModel(bytes, feeds);
  const chain = async (cuts: readonly (readonly string[])[]) =>
    relativeDifference(whole, await runChain(extractChain(model, cuts).files.values(), feeds));

  const all = sweepCuts(model.graph);
  const tested = all.filter((_, i) => !quick || i % STRIDE === 0);
  let worst = { difference: 0, cut: '' };
  for (const { tensors } of tested) {
    const difference = await chain([tensors]);
    // Written so that NaN, which is never greater, counts as the worst of all.
    if (!(difference <= worst.difference)) worst = { difference, cut: cutName(tensors) };
  }
  return {
    model: name,
    cuts: all.length,
    tested: tested.length,
    single: tested.filter((cut) => cut.tensors.length === 1).length,
    worst: worst.difference,
    'worst at': worst.cut,
    natural: natural.length,
    'natural chain': await chain(natural),
    ms: Math.round(performance.now() - start),
  };
}
