// Tasks made from other ONNX files and from the chain's own tensors: they compute what the whole model computes there.
import { expect, test } from 'vitest';
import { attachTask, detachTask } from './attachTask.ts';
import { type Manifest, parseManifest, taskNames } from './manifest.ts';
import { randomFeeds, relativeDifference, runChain, runModel } from './node/chain.ts';
import { readOnnx, writeOnnx } from './onnx.ts';
import { type Partition, partitionModel } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { model, node, tinyNet, value, weight } from './testGraphs.fixture.ts';

const split = (): Promise<Partition> => partitionModel(tinyNet(), { name: 'tiny', probe, cuts: ['r1', 'p'] });

const reader =
  ({ manifest, files }: Partition) =>
  async (k: number) =>
    files.get(manifest.segments[k]!.file)!;

/** A classifier of four classes on the feature at `p`, [N,6,4,4]. */
const head = (shape: (number | string)[] = ['B', 6, 4, 4]) =>
  model({
    nodes: [
      node('GlobalAveragePool', 'p', 'g'),
      node('Flatten', 'g', 'f'),
      node('Gemm', 'f w b', 'kinds', { transB: 1 }),
    ],
    inputs: [value('p', shape)],
    outputs: [value('kinds', [shape[0]!, 4])],
    weights: [weight('w', [4, 6]), weight('b', [4])],
  });

test('an ONNX file on a cut: the chain up to it and the task equal the two models run after one another', async () => {
  const whole = await split();
  const labels = ['a', 'b', 'c', 'd'];
  for (const shape of [
    ['B', 6, 4, 4],
    [1, 6, 4, 4],
  ]) {
    const onnx = head(shape);
    const { manifest, files } = await attachTask(whole.manifest, {
      name: 'kinds',
      cut: 'p',
      onnx,
      labels,
      probe,
    });
    expect(taskNames(manifest)).toEqual(['main', 'kinds']);
    const [task] = manifest.tasks!;
    expect(task).toMatchObject({ cut: 1, labels, postprocess: { output: 'kinds', scores: 'softmax' } });
    expect(task!.outputs[0]!.shape).toEqual([shape[0] === 'B' ? 'N' : 1, 4]);
    const feeds = randomFeeds(manifest.inputs);
    const feature = await runChain([...whole.files.values()].slice(0, 2), feeds);
    const apart = await runModel(onnx, feature);
    const attached = await runModel(files.get(task!.segments[0]!.file)!, feature);
    expect(relativeDifference(apart, attached)).toBeLessThan(1e-6);
  }
});

test('a tensor of the chain: it hangs at the cut before it', async () => {
  const whole = await split();
  const segment = reader(whole);
  for (const [tensor, cut] of [
    ['flat', 1],
    ['r2', 0],
    ['p', 0], // itself what crosses cut 1
  ] as const) {
    const { manifest, files } = await attachTask(whole.manifest, {
      name: 'embedding',
      tensor,
      segment,
      probe,
    });
    const [task] = manifest.tasks!;
    expect([task!.cut, task!.outputs[0]!.name]).toEqual([cut, tensor]);
    const feeds = randomFeeds(manifest.inputs);
    const chain = [...whole.files.values()].slice(0, cut + 1);
    const found = await runChain([...chain, files.get(task!.segments[0]!.file)!], feeds);
    expect(Object.keys(found)).toEqual([tensor]);
    const { [tensor]: wanted } = await runModel(withOutput(tensor), feeds);
    expect(relativeDifference({ [tensor]: wanted! }, found)).toBeLessThan(1e-6);
  }
});

/** The whole network with one of its inner tensors as its output. */
function withOutput(tensor: string): Uint8Array {
  const whole = readOnnx(tinyNet());
  return writeOnnx({
    ...whole,
    graph: { ...whole.graph, output: [value(tensor, tensor === 'flat' ? ['N', 6] : ['N', 6, 'H', 'W'])] },
  });
}

test('tasks are part of the identity, and without them it is what it always was', async () => {
  const whole = await split();
  const onnx = head();
  const one = (await attachTask(whole.manifest, { name: 'kinds', cut: 'p', onnx, probe })).manifest;
  expect(one.id).not.toBe(whole.manifest.id);
  const again = (await attachTask(one, { name: 'kinds', cut: 1, onnx, probe })).manifest;
  expect(again).toEqual(one);
  const two = (await attachTask(one, { name: 'more', cut: 'p', onnx, probe })).manifest;
  expect(new Set([whole.manifest.id, one.id, two.id]).size).toBe(3);
  expect(await detachTask(two, 'more')).toEqual(one);
  expect(await detachTask(one, 'kinds')).toEqual(whole.manifest);
});

test('what does not fit is named', async () => {
  const whole = await split();
  const segment = reader(whole);
  const refused = (options: Partial<Parameters<typeof attachTask>[1]>) =>
    attachTask(whole.manifest, { name: 'kinds', probe, ...options }).then(
      () => 'accepted',
      (thrown: Error & { code: string }) => `${thrown.code} ${thrown.message}`,
    );
  expect(await refused({})).toMatch(/^OPTION_INVALID .*one of the two/);
  expect(await refused({ onnx: head() })).toMatch(/^OPTION_INVALID .*cut/);
  expect(await refused({ onnx: head(), cut: 'r1' })).toMatch(/^OPTION_INVALID .*'p' does not cross.*'r1'/);
  expect(await refused({ onnx: head(['N', 6, 5, 4]), cut: 'p' })).toMatch(/^OPTION_INVALID .*6,5,4.*6,4,4/);
  expect(await refused({ onnx: head(), cut: 'q' })).toMatch(/^CUT_INVALID /);
  expect(await refused({ onnx: head(), cut: 'p', labels: ['a'] })).toMatch(/^OPTION_INVALID .*1 labels/);
  expect(await refused({ onnx: head(), cut: 'p', name: 'main' })).toMatch(/^OPTION_INVALID .*main/);
  expect(await refused({ onnx: head(), cut: 'p', name: 'a b' })).toMatch(/^OPTION_INVALID .*plain name/);
  expect(await refused({ onnx: new Uint8Array(9), cut: 'p' })).toMatch(/^MODEL_INVALID /);
  expect(await refused({ tensor: 'c1', segment })).toMatch(/^OPTION_INVALID .*before the first cut/);
  expect(await refused({ tensor: 'flatt', segment })).toMatch(/^OPTION_INVALID .*flat/);
  expect(await refused({ tensor: 'r2', cut: 'p', segment })).toMatch(/^OPTION_INVALID .*behind the cut 'p'/);
  await expect(detachTask(whole.manifest, 'kinds')).rejects.toMatchObject({ code: 'OPTION_INVALID' });
});

test('manifests whose tasks tell another story are refused by the field', async () => {
  const whole = await split();
  const { manifest } = await attachTask(whole.manifest, { name: 'kinds', cut: 'p', onnx: head(), probe });
  const [task] = manifest.tasks!;
  const reason = (tasks: unknown) =>
    parseManifest({ ...manifest, tasks } as Manifest).then(
      () => 'accepted',
      (thrown: Error) => thrown.message,
    );
  expect(await reason([task])).toBe('accepted');
  expect(await reason([{ ...task, cut: 2 }])).toMatch(/tasks\.0\.cut/);
  expect(await reason([{ ...task, cut: 0 }])).toMatch(/tasks\.0\.segments\.0\.inputs/);
  expect(await reason([task, task])).toMatch(/tasks\.1\.name/);
  expect(await reason([{ ...task, outputs: [] }])).toMatch(/tasks\.0\.outputs/);
  expect(await reason([{ ...task, labels: ['a'] }])).toMatch(/tasks\.0\.labels/);
  expect(await reason([{ ...task, name: 'kinds2' }])).toMatch(/its id is/);
  expect(await reason([])).toMatch(/tasks/);
});
