// Warm-up with real onnxruntime-node in real threads.
import { expect, test } from 'vitest';
import { loadRegistry } from '../models/modelStore.ts';
import { testModels } from '../testModels.fixture.ts';
import { createOrtBackend } from './ortBackend.ts';
import { createThreads } from './threads.ts';
import { warmUp } from './warmUp.ts';

test('small models answer once per thread; large ones and broken ones are left alone', async () => {
  const registry = await loadRegistry((await testModels()).dir);
  const backend = createOrtBackend(createThreads({ threads: 2 }));
  try {
    const tiny = registry.models.get('tiny')!;
    const large = {
      ...tiny,
      manifest: {
        ...tiny.manifest,
        name: 'large',
        segments: [{ ...tiny.manifest.segments[0]!, bytes: 2 ** 30 }],
      },
    };
    const damaged = tiny.manifest.segments.map((s) => ({ ...s, sha256: '0'.repeat(64) }));
    const broken = { ...tiny, manifest: { ...tiny.manifest, name: 'broken', segments: damaged } };
    expect(await warmUp([tiny, large, broken], backend, 2)).toEqual(['tiny']);

    const { inputs } = tiny.manifest;
    const data = new Float32Array(3 * 8 * 8);
    const { timings } = await backend.infer(
      tiny,
      0,
      { [inputs[0]!.name]: { dtype: 'float32', shape: [1, 3, 8, 8], data } },
      { id: 'first' },
    );
    const cold = createOrtBackend(createThreads({ threads: 2 }));
    const copy = {
      [inputs[0]!.name]: {
        dtype: 'float32' as const,
        shape: [1, 3, 8, 8],
        data: new Float32Array(3 * 8 * 8),
      },
    };
    const first = await cold.infer(tiny, 0, copy, { id: 'cold' });
    await cold.close();
    // Starting a thread and loading sessions takes tens of milliseconds, finding them there far less than one.
    expect(timings.queue).toBeLessThan(first.timings.queue);
  } finally {
    await backend.close();
  }
});
