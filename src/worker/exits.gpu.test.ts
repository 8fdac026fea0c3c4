// Early exits through a real module worker: what they say on the way arrives before the answer, and a new worker knows them again.
import { expect, test } from 'vitest';
import { PRESETS } from '../codec/params.ts';
import type { ExitAnswer, RuntimeInput } from '../head/runtime.ts';
import { SegmentCache } from '../head/store/segmentCache.ts';
import { noise, tinyModel } from '../head/tinyModel.fixture.ts';
import type { Manifest } from '../model/manifest.ts';
import { spawnRuntime } from './spawn.ts';

const { manifest: bare, files } = await tinyModel();
const tensors: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } },
};
const plan = { exits: [0], cut: 1, codec: PRESETS.raw };

/** The model's own last segment as an exit: it says what the model says. */
const withExit = (value: number): Manifest => {
  const threshold = { rule: 'confidence', value, agreement: 1, coverage: 1 } as const;
  return { ...bare, exits: [{ ...bare.segments[2]!, name: 'end', cut: 1, threshold }] };
};

test('told in time, ended in time, and known again after the worker died', async () => {
  const cache = new SegmentCache();
  for (const [sha256, bytes] of files) await cache.write(sha256, bytes);
  const workers: Worker[] = [];
  const worker = () => {
    workers.push(new Worker(new URL('./entry.ts', import.meta.url), { type: 'module', name: 'isthmus' }));
    return workers.at(-1)!;
  };
  const runtime = await spawnRuntime({ worker, device: 'wasm' });
  try {
    const load = { artifacts: '/nothing-is-served-here', exits: true };
    await runtime.load({ ...load, manifest: withExit(1.5) }, 1);
    const order: string[] = [];
    const told: ExitAnswer[] = [];
    const early = () =>
      runtime.early!(tensors, plan, (answer) => {
        order.push('told');
        told.push(answer);
      }).finally(() => order.push('answer'));
    const unsure = await early();
    expect(order).toEqual(['told', 'answer']);
    expect(unsure.answers).toEqual(told);
    expect(unsure.head!.frame).toEqual((await runtime.head(tensors, 1, PRESETS.raw)).frame);
    workers[0]!.terminate();
    await expect
      .poll(() => early().then(({ head }) => head?.rawBytes), { timeout: 30_000 })
      .toBe(4 * 16 * 8 * 8);
    expect(workers).toHaveLength(2);
    await runtime.load({ ...load, manifest: withExit(0) }, 1);
    const sure = await runtime.early!(tensors, plan);
    expect(sure.head).toBeUndefined();
    expect(sure.answers).toMatchObject([{ exit: 0, enough: true, value: told[0]!.value }]);
    expect(sure.answers[0]!.outputs).toEqual((await runtime.local(tensors)).outputs);
  } finally {
    await runtime.close();
  }
});
