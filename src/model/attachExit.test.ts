// Exits attached to a split model: they compute what their file computes, leave the identity alone, and what does not fit is named.
import { expect, test } from 'vitest';
import { attachExit, detachExit } from './attachExit.ts';
import { exitsUpTo, parseManifest } from './manifest.ts';
import { randomFeeds, relativeDifference, runChain, runModel } from './node/chain.ts';
import { type Partition, partitionModel } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { model, node, tinyNet, value, weight } from './testGraphs.fixture.ts';

const split = (): Promise<Partition> => partitionModel(tinyNet(), { name: 'tiny', probe, cuts: ['r1', 'p'] });

/** A classifier of the model's five classes on the feature at a cut: `r1` has 4 channels of 8×8, `p` has 6 of 4×4. */
function end(cut: 'r1' | 'p', output = 'logits', classes = 5): Uint8Array<ArrayBuffer> {
  const [channels, side] = cut === 'p' ? [6, 4] : [4, 8];
  return model({
    nodes: [
      node('GlobalAveragePool', cut, 'g'),
      node('Flatten', 'g', 'f'),
      node('Gemm', 'f w b', output, { transB: 1 }),
    ],
    inputs: [value(cut, ['B', channels!, side!, side!])],
    outputs: [value(output, ['B', classes])],
    weights: [weight('w', [classes, channels!]), weight('b', [classes])],
  });
}

test('an exit computes what its file does, and the model keeps its id', async () => {
  const whole = await split();
  const onnx = end('p');
  const { manifest, files } = await attachExit(whole.manifest, { name: 'late', cut: 'p', onnx, probe });
  const [exit] = manifest.exits!;
  expect(exit).toMatchObject({ name: 'late', cut: 1, outputs: manifest.outputs, macs: expect.any(Number) });
  expect(exit!.threshold).toBeUndefined();
  expect(manifest.id).toBe(whole.manifest.id);
  expect(await parseManifest(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
  const feature = await runChain([...whole.files.values()].slice(0, 2), randomFeeds(manifest.inputs));
  const attached = await runModel(files.get(exit!.file)!, feature);
  expect(relativeDifference(await runModel(onnx, feature), attached)).toBeLessThan(1e-6);
});

test('several lie in the order of their cuts, and go again', async () => {
  const { manifest: bare } = await split();
  const late = (await attachExit(bare, { name: 'late', cut: 'p', onnx: end('p'), probe })).manifest;
  const both = (await attachExit(late, { name: 'early', cut: 0, onnx: end('r1'), probe })).manifest;
  expect(both.exits!.map(({ name }) => name)).toEqual(['early', 'late']);
  expect([exitsUpTo(both, 0), exitsUpTo(both, 1), exitsUpTo(bare, 1)]).toEqual([[0], [0, 1], []]);
  const again = (await attachExit(both, { name: 'late', cut: 'p', onnx: end('p'), probe })).manifest;
  expect(again).toEqual(both);
  expect(await detachExit(both, 'early')).toEqual(late);
  expect(await detachExit(late, 'late')).toEqual(bare);
  await expect(detachExit(late, 'none')).rejects.toMatchObject({
    code: 'OPTION_INVALID',
    message: expect.stringContaining('Its exits: late'),
  });
});

test('what does not fit is named', async () => {
  const { manifest } = await split();
  const refused = (options: Partial<Parameters<typeof attachExit>[1]>) =>
    attachExit(manifest, { name: 'early', cut: 'p', onnx: end('p'), probe, ...options }).then(
      () => 'accepted',
      (thrown: Error & { code: string }) => `${thrown.code} ${thrown.message}`,
    );
  expect(await refused({ cut: 'r1' })).toMatch(/^OPTION_INVALID .*'p' float32.*the cut 'r1' gives 'r1'/);
  expect(await refused({ onnx: end('p', 'kinds') })).toMatch(/^OPTION_INVALID .*'kinds'.*'logits'/);
  expect(await refused({ onnx: end('p', 'logits', 4) })).toMatch(
    /^OPTION_INVALID .*gives 'logits' float32 \[/,
  );
  expect(await refused({ cut: 'q' })).toMatch(/^CUT_INVALID /);
  expect(await refused({ name: 'a b' })).toMatch(/^OPTION_INVALID .*plain name/);
  const broken = (await attachExit(manifest, { name: 'early', cut: 'p', onnx: end('p'), probe })).manifest;
  const [exit] = broken.exits!;
  for (const [change, field] of [
    [{ cut: 7 }, 'exits.0.cut'],
    [{ cut: 0 }, 'exits.0.inputs'],
    [{ file: '../x' }, 'exits.0.file'],
  ] as const)
    await expect(parseManifest({ ...broken, exits: [{ ...exit!, ...change }] })).rejects.toMatchObject({
      code: 'MANIFEST_INVALID',
      message: expect.stringContaining(field),
    });
});
