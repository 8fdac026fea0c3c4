// How branches are run, told from what a backend is asked to do: the shared trunk once, the rest side by side, each with an input
// of its own. What they compute is tasks.test.ts.
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Tensors } from '../../tensor.ts';
import { loadRegistry } from '../models/modelStore.ts';
import type { ServedModel } from '../models/registry.ts';
import type { TailBackend } from '../run/backend.ts';
import { type TaskModel, taskModel } from '../taskModel.fixture.ts';
import { branchesOf } from './branches.ts';
import { type BranchResult, runBranches } from './runBranches.ts';

let made: TaskModel;
let served: ServedModel;
beforeAll(async () => {
  made = await taskModel();
  served = (await loadRegistry(made.dir)).models.get('tiny')!;
});
afterAll(() => rm(made.dir, { recursive: true, force: true }));

interface Call {
  id: string;
  first: number;
  segments: number;
  outputs: string[];
  tensors: Tensors;
}

/** Answers every output with one number, when told to. */
function engine(held: Promise<void> = Promise.resolve()) {
  const calls: Call[] = [];
  let most = 0;
  let running = 0;
  const backend: TailBackend = {
    async infer({ manifest }, first, tensors, { signal }) {
      const outputs = manifest.outputs.map((t) => t.name);
      calls.push({ id: manifest.id, first, segments: manifest.segments.length, outputs, tensors });
      most = Math.max(most, ++running);
      await held;
      await new Promise((resolve) => setTimeout(resolve, 20));
      running--;
      signal?.throwIfAborted();
      const one = () => ({ dtype: 'float32', shape: [1], data: Float32Array.of(1) }) as const;
      return {
        outputs: Object.fromEntries(outputs.map((name) => [name, one()])),
        timings: { queue: 1, tail: 2 },
      };
    },
    close: async () => undefined,
  };
  return { backend, calls, most: () => most };
}

const input = (): Tensors => ({ x: { dtype: 'float32', shape: [3], data: Float32Array.of(1, 2, 3) } });

async function run(cut: number, first: number, tasks: string[], e = engine(), signal?: AbortSignal) {
  const results: BranchResult[] = [];
  const branches = branchesOf(served, tasks, cut);
  const options = { id: 'test', ...(signal && { signal }) };
  await runBranches(e.backend, served, first, input(), branches, options, (r) => void results.push(r));
  return { ...e, results };
}

test('the trunk runs once, the branches at the same time', async () => {
  const { calls, most, results } = await run(0xffff, 0, ['main', 'kinds', 'embedding', 'early']);
  // s0 for all; then `early` beside s1 for the others; then those.
  expect(calls.map(({ first, segments, outputs }) => [first, segments, outputs.join()])).toEqual([
    [0, 1, 'r1'],
    [1, 2, 'r2'],
    [1, 2, 'p'],
    [2, 3, 'logits'],
    [2, 3, 'kinds'],
    [2, 3, 'flat'],
  ]);
  expect(most()).toBe(3);
  expect(new Set(calls.map((c) => c.id)).size).toBe(6); // what is batched by model and segment never mixes them
  expect(results.map((r) => r.left)).toEqual([3, 2, 1, 0]);
  expect(results.find((r) => r.branch.name === 'kinds')!.spent).toEqual({ queue: 3, tail: 6 });
  expect(results.find((r) => r.branch.name === 'early')!.spent).toEqual({ queue: 2, tail: 4 });
  const buffers = calls.slice(3).map((c) => Object.values(c.tensors)[0]!.data.buffer);
  expect(new Set(buffers).size).toBe(3); // each may move its own to a thread
});

test('where nothing is shared nothing is run twice, and no trunk is run for one', async () => {
  const at = await run(1, 2, ['main', 'kinds']);
  expect(at.calls.map((c) => c.outputs.join())).toEqual(['logits', 'kinds']);
  const same = await run(1, 2, ['main', 'kinds']);
  expect(same.calls.map((c) => c.id)).toEqual(at.calls.map((c) => c.id)); // models of the same name are one
});

test('a failing trunk fails what hangs on it, not what has left it', async () => {
  const e = engine();
  const { infer } = e.backend;
  const backend: TailBackend = {
    ...e.backend,
    infer: (model, first, tensors, options) =>
      model.manifest.outputs[0]!.name === 'p'
        ? Promise.reject(new Error('out of memory'))
        : infer(model, first, tensors, options),
  };
  const { results } = await run(0xffff, 0, ['kinds', 'early', 'main'], { ...e, backend });
  expect(results.map((r) => [r.branch.name, r.error?.code]).sort()).toEqual([
    ['early', undefined],
    ['kinds', 'INTERNAL'],
    ['main', 'INTERNAL'],
  ]);
  expect(results.at(-1)!.left).toBe(0);
});

test('a request that is given up answers nothing any more', async () => {
  const stop = new AbortController();
  let begin = () => {};
  const held = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const running = run(1, 2, ['main', 'kinds'], engine(held), stop.signal);
  stop.abort(new Error('gone'));
  begin();
  await expect(running).rejects.toThrow('gone');
});
