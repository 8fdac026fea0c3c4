// Early exits on real onnxruntime-web, WebGPU (a software adapter here) and WebAssembly: what they say, and that the head goes on from
// the same feature as if nobody had asked.
import { afterEach, expect, test } from 'vitest';
import { PRESETS } from '../codec/params.ts';
import { type ExitInfo, type Manifest, sha256Hex } from '../model/manifest.ts';
import { node, model as onnx, value, weight } from '../model/testGraphs.fixture.ts';
import { createBrowserRuntime } from './browserRuntime.ts';
import type { ExitAnswer, HeadRuntime, RuntimeInput } from './runtime.ts';
import { ModelStore } from './store/modelStore.ts';
import { noise, serveFiles, tinyModel } from './tinyModel.fixture.ts';

const { manifest: bare, files } = await tinyModel();
const tensors: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } },
};
const [NEVER, ALWAYS] = [1.5, 0].map(
  (value) => ({ rule: 'confidence', value, agreement: 1, coverage: 1 }) as const,
);

/** A classifier at the first cut; and the model's own last segment at the second one, which must say what the model says. */
const early = onnx({
  nodes: [
    node('GlobalAveragePool', 'a', 'g'),
    node('Flatten', 'g', 'f'),
    node('Gemm', 'f w b', 'y', { transB: 1 }),
  ],
  inputs: [value('a', [1, 8, 16, 16])],
  outputs: [value('y', [1, 10])],
  weights: [weight('w', [10, 8]), weight('b', [10])],
});
const sha256 = await sha256Hex(early);
files.set(sha256, early);

function withExits(...thresholds: (ExitInfo['threshold'] | undefined)[]): Manifest {
  const ends = { outputs: bare.outputs };
  const last = bare.segments[2]!;
  const exits: ExitInfo[] = [
    {
      name: 'early',
      cut: 0,
      file: 'early.onnx',
      sha256,
      bytes: early.length,
      inputs: bare.cuts[0]!.tensors,
      ...ends,
    },
    { ...last, name: 'late', cut: 1 },
  ].map((exit, i) => ({ ...exit, ...(thresholds[i] && { threshold: thresholds[i] }) }));
  return { ...bare, exits };
}

let runtime: HeadRuntime;
async function start(device: 'webgpu' | 'wasm', manifest: Manifest): Promise<void> {
  runtime = await createBrowserRuntime({ device, store: new ModelStore({ fetch: serveFiles(files) }) });
  await runtime.load({ manifest, artifacts: '/artifacts', exits: true }, 2);
}
afterEach(() => runtime.close());

const y = ({ outputs }: Pick<ExitAnswer, 'outputs'>) => Array.from(outputs.y!.data as Float32Array);
const plan = { exits: [0], cut: 1, codec: PRESETS['slicer-fine'] };

test.each(['webgpu', 'wasm'] as const)(
  '%s: asked on the way, and the end where one is sure enough',
  async (device) => {
    await start(device, withExits(NEVER, ALWAYS));
    const told: ExitAnswer[] = [];
    const unsure = await runtime.early!(tensors, plan, (answer) => void told.push(answer));
    expect(told).toMatchObject([{ exit: 0, rule: 'confidence', enough: false }]);
    expect(unsure.answers).toEqual(told);
    const p = y(told[0]!).map(Math.exp);
    expect(told[0]!.value).toBeCloseTo(Math.max(...p) / p.reduce((a, b) => a + b, 0), 5);
    // The head goes on as if nobody had asked.
    const plain = await runtime.head(tensors, 1, plan.codec);
    expect(unsure.head).toEqual({ frame: plain.frame, rawBytes: plain.rawBytes });
    expect(unsure.timings).toMatchObject({ head: expect.any(Number), encode: expect.any(Number) });
    const sure = await runtime.early!(tensors, { ...plan, exits: [0, 1] });
    expect(sure.answers).toMatchObject([
      { exit: 0, enough: false },
      { exit: 1, enough: true },
    ]);
    expect(sure.head).toBeUndefined();
    expect(sure.timings.encode).toBeUndefined();
    const local = y(await runtime.local(tensors));
    expect(Math.max(...y(sure.answers[1]!).map((x, i) => Math.abs(x - local[i]!)))).toBeLessThan(1e-5);
  },
);

test('one that cannot be fetched is left out, and what comes under the same id is taken over', async () => {
  const [early, late] = withExits(NEVER, NEVER).exits!;
  await start('wasm', { ...bare, exits: [{ ...early!, sha256: '0'.repeat(64) }, late!] });
  const without = await runtime.early!(tensors, { ...plan, exits: [0, 1] });
  expect(without.answers).toMatchObject([{ exit: 1, enough: false }]);
  expect(without.head!.frame).toEqual((await runtime.head(tensors, 1, plan.codec)).frame);
  const turned = { ...bare, exits: [{ ...late!, threshold: ALWAYS! }] };
  await runtime.load({ manifest: turned, artifacts: '/artifacts', exits: true }, 1);
  const { answers } = await runtime.early!(tensors, plan);
  expect(y(answers[0]!)).toEqual(y(without.answers[0]!));
  expect(answers).toMatchObject([{ exit: 0, enough: true }]);
});
