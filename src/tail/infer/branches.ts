// Branches: the tails that can follow a cut. The model's own chain is one, each task of the manifest another. A branch looks like
// a model of its own to a backend, so that whatever runs, batches or forwards models does so with tasks. It runs nothing.
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { IsthmusError } from '../../errors.ts';
import { MAIN_TASK, type Manifest, type TaskInfo, taskNames } from '../../model/manifest.ts';
import { INPUT_CUT } from '../../wire/layout.ts';
import type { ServedModel } from '../models/registry.ts';
import type { ModelFiles } from '../run/backend.ts';

export interface Branch {
  name: string;
  /** What a backend runs: the trunk from the model's input to the task's cut, then the task. Its id is its own. */
  model: ModelFiles;
  /** What replies say: the model's id with the branch's outputs and labels. */
  manifest: Manifest;
  /** First segment that no other branch needs; Infinity for `main`, which needs all of the trunk. */
  leaves: number;
}

const known = new WeakMap<Manifest, Map<string, ModelFiles>>();

/** Made once per model, since backends and batching tell models apart by them. */
function once(model: ModelFiles, key: string, make: () => ModelFiles): ModelFiles {
  const views = known.get(model.manifest) ?? new Map<string, ModelFiles>();
  known.set(model.manifest, views);
  const view = views.get(key) ?? make();
  views.set(key, view);
  return view;
}

const derivedId = (id: string, what: string) => createHash('sha256').update(`${id} ${what}`).digest('hex');

/** @throws IsthmusError REQUEST_INVALID with the names of the tasks there are */
function branchOf(served: ServedModel, name: string): Branch {
  const { manifest } = served;
  if (name === MAIN_TASK) return { name, model: served, manifest, leaves: Number.POSITIVE_INFINITY };
  const task = manifest.tasks?.find((t) => t.name === name);
  if (!task) {
    throw new IsthmusError(
      'REQUEST_INVALID',
      `The model '${manifest.name}' has no task '${name.slice(0, 64)}'. It has: ${taskNames(manifest).join(', ')}.`,
    );
  }
  const model = once(served, `task ${name}`, () => taskView(served, task));
  return { name, model, manifest: { ...model.manifest, id: manifest.id }, leaves: task.cut + 1 };
}

/**
 * The branches of the tasks that a request names.
 *
 * @param cut what the request's feature belongs to
 * @throws IsthmusError REQUEST_INVALID for unknown tasks and for those that hang before the cut
 */
export function branchesOf(served: ServedModel, names: readonly string[], cut: number): Branch[] {
  const first = cut === INPUT_CUT ? 0 : cut + 1;
  return names.map((name) => {
    const branch = branchOf(served, name);
    if (branch.leaves >= first) return branch;
    const { cuts } = served.manifest;
    const latest = cuts[branch.leaves - 1]!.name;
    throw new IsthmusError(
      'REQUEST_INVALID',
      `The task '${name}' needs the feature at '${latest}', the request brings a later one. Cut at '${latest}' or before it.`,
    );
  });
}

/** The segments up to a cut, as a model whose outputs are that cut's tensors. */
export function trunkTo(served: ServedModel, cut: number): ModelFiles {
  return once(served, `trunk ${cut}`, () => {
    const { postprocess: _post, labels: _labels, tasks: _tasks, ...m } = served.manifest;
    const manifest: Manifest = {
      ...m,
      id: derivedId(m.id, `trunk ${cut}`),
      segments: m.segments.slice(0, cut + 1),
      cuts: m.cuts.slice(0, cut),
      outputs: m.cuts[cut]!.tensors,
    };
    return { ...served, manifest };
  });
}

function taskView(served: ServedModel, task: TaskInfo): ModelFiles {
  const { postprocess: _post, labels: _labels, tasks: _tasks, ...m } = served.manifest;
  const trunk = m.segments.slice(0, task.cut + 1);
  const between = task.segments.slice(0, -1).map(({ outputs }, k) => ({
    name: `${task.name}/${k}`,
    tensors: outputs,
    rawBytes: 0,
  }));
  const manifest: Manifest = {
    ...m,
    id: derivedId(m.id, `task ${task.name}`),
    segments: [...trunk, ...task.segments],
    cuts: [...m.cuts.slice(0, task.cut + 1), ...between],
    outputs: task.outputs,
    ...(task.postprocess && { postprocess: task.postprocess }),
    ...(task.labels && { labels: task.labels }),
  };
  const folder = dirname(served.path(0));
  const path = (i: number) =>
    i < trunk.length ? served.path(i) : join(folder, task.segments[i - trunk.length]!.file);
  return { ...served, manifest, path };
}
