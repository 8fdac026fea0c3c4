// attachTask: gives a split model another tail, from an ONNX file of its own or from a tensor inside the chain itself (an
// embedding in front of a classifier). Runs in browsers and in Node; it touches neither disk nor network.
import { checked, feeds, text, wrong } from './attachments.ts';
import { extractSegment } from './extract.ts';
import { labelsFor } from './labels.ts';
import {
  cutIndex,
  type Manifest,
  manifestId,
  type SegmentInfo,
  sha256Hex,
  type TaskInfo,
  type TensorInfo,
} from './manifest.ts';
import { nearest } from './nearest.ts';
import { infoOf, macsBefore, type OpenModel, type OpenOptions, openModel, outputsOf } from './open.ts';

export interface AttachOptions extends OpenOptions {
  /** What requests will ask for. */
  name: string;
  /** Name or index of the cut that feeds the task. With `tensor` the nearest cut before it, and need not be given. */
  cut?: string | number;
  /** A model whose inputs are that cut's tensors, by name. */
  onnx?: Uint8Array;
  /** Instead: a tensor of the chain, which becomes the task's only output. */
  tensor?: string;
  /** One label per class of the first output. */
  labels?: readonly string[];
  /** Reads a segment of the chain; needed with `tensor`. */
  segment?: (index: number) => Promise<Uint8Array>;
}

export interface AttachedTask {
  /** With the task, replacing one of the same name; its id is another one than before. */
  manifest: Manifest;
  /** The task's file, by a name that follows from its content. */
  files: Map<string, Uint8Array<ArrayBuffer>>;
}

/**
 * @throws IsthmusError OPTION_INVALID, CUT_INVALID, and what reading an ONNX model throws
 * @example const { manifest, files } = await attachTask(model, { name: 'pose', cut: 'relu3', onnx, probe });
 */
export async function attachTask(model: Manifest, options: AttachOptions): Promise<AttachedTask> {
  const { name, onnx, tensor } = options;
  if ((onnx === undefined) === (tensor === undefined))
    throw wrong('A task is made from an ONNX file or from a tensor of the model: give one of the two.');
  const made = onnx ? await fromModel(model, onnx, options) : await fromTensor(model, tensor!, options);
  const { cut, open, inputs, outputs } = made;
  const { bytes } = extractSegment(open.graph, inputs, outputs, name);
  const sha256 = await sha256Hex(bytes);
  const macs = macsBefore(
    open,
    outputs.map((t) => t.name),
  );
  // Named after its content: a tail that serves this folder finds the old files or the new ones, never a mixture.
  const file = `task-${sha256.slice(0, 8)}.onnx`;
  const segment: SegmentInfo = { file, sha256, bytes: bytes.length, macs, inputs, outputs };
  const task: TaskInfo = {
    name,
    cut,
    segments: [segment],
    outputs,
    ...(options.labels && labelsFor(options.labels, open.graph, outputs[0]!)),
  };
  const others = (model.tasks ?? []).filter((t) => t.name !== name);
  const described = { ...model, tasks: [...others, task] };
  return {
    manifest: await checked({ ...described, id: await manifestId(described) }, 'task'),
    files: new Map([[file, bytes]]),
  };
}

/** The model without a task. @throws IsthmusError OPTION_INVALID with the names there are */
export async function detachTask(model: Manifest, name: string): Promise<Manifest> {
  const { tasks = [], ...rest } = model;
  const left = tasks.filter((t) => t.name !== name);
  if (left.length === tasks.length) {
    const names = tasks.map((t) => t.name).join(', ') || 'none';
    throw wrong(`The model '${model.name}' has no task '${name}'. Its tasks: ${names}.`);
  }
  const described = left.length > 0 ? { ...rest, tasks: left } : rest;
  return checked({ ...described, id: await manifestId(described) }, 'task');
}

interface Source {
  cut: number;
  open: OpenModel;
  inputs: TensorInfo[];
  outputs: TensorInfo[];
}

async function fromModel(model: Manifest, onnx: Uint8Array, options: AttachOptions): Promise<Source> {
  if (options.cut === undefined) throw wrong('Name the cut whose tensors feed the task.');
  const cut = cutIndex(model, options.cut);
  const { name, tensors } = model.cuts[cut]!;
  const open = await openModel(onnx, options);
  const given = new Map(open.graph.inputs.map((input) => [input.name, infoOf(open, input.name)]));
  for (const wanted of given.values()) {
    const there = tensors.find((t) => t.name === wanted.name);
    if (!there) {
      const names = tensors.map((t) => `'${t.name}'`).join(', ');
      throw wrong(
        `The task's input '${wanted.name}' does not cross the cut '${name}', which gives ${names}. Rename it in the model.`,
      );
    }
    if (!feeds(there, wanted)) {
      throw wrong(
        `The task takes '${wanted.name}' as ${text(wanted)}, the cut '${name}' gives ${text(there)}. Export it for that shape.`,
      );
    }
  }
  // The cut's own words: the batch may have another name in the other file.
  const batch = tensors.flatMap((t) => t.shape).find((dim) => typeof dim === 'string');
  const outputs = outputsOf(open).map((t) => ({
    ...t,
    shape: t.shape.map((dim) => (typeof dim === 'string' && open.batch.has(dim) && batch ? batch : dim)),
  }));
  return { cut, open, inputs: [...tensors], outputs };
}

/** The segment of the chain that computes the tensor, up to it. */
async function fromTensor(model: Manifest, tensor: string, options: AttachOptions): Promise<Source> {
  const { segment } = options;
  if (!segment) throw wrong('Taking a tensor of the model needs its segments.');
  const from = options.cut === undefined ? 0 : cutIndex(model, options.cut) + 1;
  const names: string[] = [];
  for (let k = from; k < model.segments.length; k++) {
    const open = await openModel(await segment(k), options);
    names.push(...open.graph.producer.keys());
    if (!open.graph.producer.has(tensor) || open.graph.constants.has(tensor)) continue;
    if (k === 0)
      throw wrong(
        `'${tensor}' lies before the first cut, where nothing crosses yet. Split the model before it.`,
      );
    const outputs = [infoOf(open, tensor)];
    return { cut: k - 1, open, inputs: model.cuts[k - 1]!.tensors, outputs };
  }
  const near = nearest(tensor, names);
  const hint = near.length > 0 ? ` Near it are ${near.join(', ')}.` : '';
  const where = options.cut === undefined ? '' : ` behind the cut '${options.cut}'`;
  throw wrong(`The model '${model.name}' computes no tensor '${tensor}'${where}.${hint}`);
}
