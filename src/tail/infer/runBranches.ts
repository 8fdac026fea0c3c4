// Runs the branches that one feature feeds: the trunk that they share once, each branch as soon as its cut is reached, all that
// are free at the same time. One that fails leaves the others alone. It decodes nothing and writes no frames.
import { IsthmusError } from '../../errors.ts';
import type { Tensors } from '../../tensor.ts';
import type { ServedModel } from '../models/registry.ts';
import type { InferOptions, InferResult, ModelFiles, TailBackend } from '../run/backend.ts';
import { type Branch, trunkTo } from './branches.ts';

/** Milliseconds of waiting and running, the shared trunk included. */
type Spent = InferResult['timings'];

export interface BranchResult {
  branch: Branch;
  outputs: Tensors;
  spent: Spent;
  error?: IsthmusError;
  /** How many branches have not answered yet. */
  left: number;
}

/**
 * @param first the segment that comes next
 * @param tensors what it takes; moved away
 * @param done told of every branch once, in the order in which they end
 * @throws only when the request itself was given up (its signal), after nothing runs any more
 */
export async function runBranches(
  backend: TailBackend,
  served: ServedModel,
  first: number,
  tensors: Tensors,
  branches: readonly Branch[],
  options: InferOptions,
  done: (result: BranchResult) => void,
): Promise<void> {
  let left = branches.length;
  function finish(branch: Branch, outputs: Tensors, spent: Spent, error?: IsthmusError): void {
    if (options.signal?.aborted) return; // nobody waits, and what is thrown now is the abort
    done({ branch, outputs, spent, ...(error && { error }), left: --left });
  }

  async function run(branch: Branch, at: number, input: Tensors, before: Spent): Promise<void> {
    const answered = await backend.infer(branch.model, at, input, options).catch((thrown: unknown) => ({
      error: failure(thrown, branch.name),
    }));
    if ('error' in answered) finish(branch, {}, before, answered.error);
    else finish(branch, answered.outputs, sum(before, answered.timings));
  }

  const running: Promise<void>[] = [];
  let at = first;
  let here = tensors;
  let spent: Spent = { queue: 0, tail: 0 };
  const stations = stationsOf(first, branches);
  for (const [k, [station, leaving]] of stations.entries()) {
    if (station > at) {
      const trunk: ModelFiles = trunkTo(served, station - 1);
      const reached = await backend.infer(trunk, at, here, options).catch((thrown: unknown) => {
        for (const branch of stations.slice(k).flatMap(([, list]) => list))
          finish(branch, {}, spent, failure(thrown, branch.name));
      });
      if (!reached) break;
      here = reached.outputs;
      spent = sum(spent, reached.timings);
      at = station;
    }
    const last = k === stations.length - 1;
    const inputs = leaving.map((_, i) => (last && i === leaving.length - 1 ? here : copyOf(here)));
    for (const [i, branch] of leaving.entries()) running.push(run(branch, at, inputs[i]!, spent));
  }
  await Promise.all(running);
  if (options.signal?.aborted) throw options.signal.reason;
}

/** Where branches leave the trunk, in order. `main` goes on from the last of them. */
function stationsOf(first: number, branches: readonly Branch[]): [number, Branch[]][] {
  const finite = branches.map(({ leaves }) => leaves).filter(Number.isFinite);
  const end = Math.max(first, ...finite);
  const stations = new Map<number, Branch[]>();
  for (const branch of branches) {
    const station = Math.min(branch.leaves, end);
    stations.set(station, [...(stations.get(station) ?? []), branch]);
  }
  return [...stations].sort(([a], [b]) => a - b);
}

const sum = (a: Spent, b: Spent): Spent => ({ queue: a.queue + b.queue, tail: a.tail + b.tail });

function copyOf(tensors: Tensors): Tensors {
  return Object.fromEntries(
    Object.entries(tensors).map(([name, t]) => [name, { ...t, data: t.data.slice() }]),
  );
}

function failure(thrown: unknown, task: string): IsthmusError {
  return IsthmusError.from(
    thrown,
    'INTERNAL',
    `The task '${task}' met a defect of the tail; please report it.`,
  );
}
