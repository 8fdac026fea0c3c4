// The same code in a page: shapes come from onnxruntime-web, and the files are the ones that Node writes.
import { describe, expect, it } from 'vitest';
import { inspect, partition } from './index.ts';
import { sha256Hex } from './manifest.ts';
import { model, node, tinyNet, value } from './testGraphs.fixture.ts';

describe('partition in a browser', () => {
  it('gives the segments that Node gives', async () => {
    const { manifest, files } = await partition(tinyNet(), { name: 'tiny', cuts: ['r1', 'gap'] });
    expect(manifest.id).toBe('e38b365bd9f72a2a1f1e2b30edc492ba9b4ffce76dd51bd524516c9f822ac68b');
    for (const { file, sha256 } of manifest.segments) expect(await sha256Hex(files.get(file)!)).toBe(sha256);
  });

  it('inspects, and refuses by name', async () => {
    const found = await inspect(tinyNet());
    expect(found.operators).toMatchObject({ Conv: 3, Relu: 2 });
    expect(found.cuts.map((cut) => cut.name)).toContain('p+c3');
    const bad = model({
      nodes: [node('Frobnicate', 'x', 'y')],
      inputs: [value('x', [1])],
      outputs: [value('y')],
    });
    await expect(partition(bad, { name: 'bad' })).rejects.toMatchObject({ code: 'MODEL_UNSUPPORTED' });
  });
});
