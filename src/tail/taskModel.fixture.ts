// A small real model with tasks, for the tests of tasks on both ends: written with onnx-buf, cut by the partitioner, its tasks
// attached as `isthmus tasks` does it. Not part of the published package.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attachTask } from '../model/attachTask.ts';
import { partition } from '../model/index.ts';
import type { Manifest } from '../model/manifest.ts';
import { writeModelFolder } from '../model/node/modelFolder.ts';
import { nodeShapeProbe as probe } from '../model/probeNode.ts';
import { integers, model, node, tinyNet, value, weight } from '../model/testGraphs.fixture.ts';

/** Four classes from the feature at `p`. */
const kinds = model({
  nodes: [
    node('GlobalAveragePool', 'p', 'g'),
    node('Flatten', 'g', 'f'),
    node('Gemm', 'f w b', 'kinds', { transB: 1 }),
  ],
  inputs: [value('p', ['B', 6, 4, 4])],
  outputs: [value('kinds', ['B', 4])],
  weights: [weight('w', [4, 6]), weight('b', [4])],
});

/** Loads, and fails whenever it runs: an index that does not exist. */
const failing = model({
  nodes: [node('Gather', 'p index', 'picked', { axis: 1 })],
  inputs: [value('p', ['B', 6, 4, 4])],
  outputs: [value('picked', ['B', 1, 4, 4])],
  weights: [integers('index', [99])],
});

export interface TaskModel {
  /** Folder of models, with `tiny` in it. */
  dir: string;
  /** Pictures of 16×16, cuts `r1` [N,4,8,8] and `p` [N,6,4,4]. */
  manifest: Manifest;
  /** Segments of the chain and of tasks, by file name. */
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** Tasks: `kinds` (labelled) and `broken` at `p`, `embedding` [N,6] there too, `early` [N,6,8,8] at `r1`. */
export async function taskModel(): Promise<TaskModel> {
  const options = { name: 'tiny', cuts: ['r1', 'p'], preprocess: 'symmetric' as const };
  const labels = ['ant', 'bee', 'cat', 'dog', 'elk'];
  let { manifest, files } = await partition(tinyNet(), { ...options, labels });
  const segment = async (k: number) => files.get(manifest.segments[k]!.file)!;
  for (const task of [
    { name: 'kinds', cut: 'p', onnx: kinds, labels: ['sea', 'lake', 'land', 'sky'] },
    { name: 'broken', cut: 'p', onnx: failing },
    { name: 'embedding', tensor: 'flat', segment },
    { name: 'early', tensor: 'r2', segment },
  ]) {
    const made = await attachTask(manifest, { ...task, probe });
    files = new Map([...files, ...made.files]);
    manifest = made.manifest;
  }
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-tasks-'));
  await writeModelFolder(join(dir, 'tiny'), { manifest, files });
  return { dir, manifest, files };
}
