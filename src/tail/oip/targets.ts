// The models of the tail as the Open Inference Protocol sees them: NAME takes the whole model's inputs, NAME@CUT the
// tensors of a cut, NAME.isthmus one frame. It finds and describes them; running is inferOip.ts.
import { IsthmusError } from '../../errors.ts';
import { cutIndex, type TensorInfo } from '../../model/manifest.ts';
import type { TailContext } from '../context.ts';
import { findAny } from '../http/modelRoutes.ts';
import type { ServedModel } from '../models/registry.ts';
import type { Subject } from '../operate/gate.ts';
import { datatypeOf } from './datatypes.ts';

/** Names of the two tensors of NAME.isthmus. */
export const FRAME_INPUT = 'frame';
export const REPLY_OUTPUT = 'reply';

export interface Target {
  /** As it was asked for. */
  name: string;
  /** The model's tag, 16 hex digits. */
  version: string;
  model: ServedModel;
  /** The first segment to run; undefined where a frame says it. */
  first: number | undefined;
  inputs: readonly TensorInfo[];
  outputs: readonly TensorInfo[];
  /** Outputs given when a request names none. */
  usual: readonly string[];
}

/**
 * @param version empty or absent for the default one; else its tag, its id, or the name of its folder
 * @param subject who asks: hears of versions and cuts only where the model is one of theirs
 * @throws IsthmusError MODEL_NOT_FOUND, FORBIDDEN, CUT_INVALID (no such cut, with the list of them)
 */
export function findTarget(
  tail: TailContext,
  name: string,
  version: string | undefined,
  subject: Subject,
): Target {
  const { versions } = tail.registry;
  const pick = (model: string) => pickVersion(tail, model, version ?? '', subject);
  if (versions.has(name)) return dense(name, pick(name), 0);
  const at = name.indexOf('@');
  if (at > 0) {
    const model = pick(name.slice(0, at));
    return dense(name, model, cutOf(model, name.slice(at + 1)) + 1);
  }
  const plain = name.endsWith('.isthmus') ? name.slice(0, -'.isthmus'.length) : name;
  const model = pick(plain); // throws for what is neither, with the list of names
  const bytes = (tensor: string): TensorInfo => ({ name: tensor, dtype: 'uint8', shape: ['bytes'] });
  return {
    ...common(name, model),
    first: undefined,
    inputs: [bytes(FRAME_INPUT)],
    outputs: [bytes(REPLY_OUTPUT), ...model.manifest.outputs],
    usual: [REPLY_OUTPUT],
  };
}

function pickVersion(tail: TailContext, name: string, version: string, subject: Subject): ServedModel {
  const standard = findAny(tail, name);
  tail.gate.allowsModel(subject, standard.manifest.name);
  const versions = tail.registry.versions.get(name) ?? [standard];
  const is = (model: ServedModel) => [model.tag, model.manifest.id, model.version].includes(version);
  const found = version === '' ? standard : versions.find(is);
  if (found) return found;
  throw new IsthmusError(
    'MODEL_NOT_FOUND',
    `The model '${name.slice(0, 64)}' has no version '${version.slice(0, 64)}'. It has: ${versions.map((v) => v.tag).join(', ')}.`,
  );
}

/** @param first the segment that runs first */
function dense(name: string, model: ServedModel, first: number): Target {
  const { inputs, cuts, outputs } = model.manifest;
  return {
    ...common(name, model),
    first,
    inputs: first === 0 ? inputs : cuts[first - 1]!.tensors,
    outputs,
    usual: outputs.map((t) => t.name),
  };
}

const common = (name: string, model: ServedModel) => ({ name, version: model.tag, model });

/** By name, else by number. */
function cutOf({ manifest }: ServedModel, cut: string): number {
  const numbered = /^\d{1,4}$/.test(cut) && !manifest.cuts.some((c) => c.name === cut);
  return cutIndex(manifest, numbered ? Number(cut) : cut);
}

/** The model metadata object, the same in JSON and in protobuf; a dimension the caller chooses is -1. */
export function metadataOf(tail: TailContext, { name, model, first, inputs, outputs }: Target) {
  const versions = tail.registry.versions.get(model.manifest.name) ?? [model];
  const port = ({ name: tensor, dtype, shape }: TensorInfo) => ({
    name: tensor,
    datatype: datatypeOf(dtype) as string,
    shape: shape.map((d) => (typeof d === 'number' ? d : -1)),
  });
  return {
    name,
    versions: versions.map((v) => v.tag),
    platform: first === undefined ? 'isthmus_frame' : 'onnx_onnxruntime',
    inputs: inputs.map(port),
    outputs: outputs.map(port),
  };
}
