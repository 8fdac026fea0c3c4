// The models of the tail as the Open Inference Protocol sees them: NAME takes the whole model's inputs, NAME@CUT the
// tensors of a cut, NAME.isthmus one frame. It finds and describes them; running is inferOip.ts.
import { IsthmusError } from '../../errors.ts';
import { cutIndex, modelTag, type TensorInfo } from '../../model/manifest.ts';
import type { TailContext } from '../context.ts';
import { findModel } from '../http/modelRoutes.ts';
import type { ServedModel } from '../models/registry.ts';
import { datatypeOf } from './datatypes.ts';

/** Names of the two tensors of NAME.isthmus. */
export const FRAME_INPUT = 'frame';
export const REPLY_OUTPUT = 'reply';

export interface Target {
  /** As it was asked for. */
  name: string;
  /** The only version there is: the model's tag, 16 hex digits. */
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
 * @param version empty or absent for whichever there is
 * @throws IsthmusError MODEL_NOT_FOUND, CUT_INVALID (no such cut, with the list of them)
 */
export function findTarget(tail: TailContext, name: string, version = ''): Target {
  const target = byName(tail, name);
  const { id } = target.model.manifest;
  if (version === '' || version === target.version || version === id) return target;
  throw new IsthmusError(
    'MODEL_NOT_FOUND',
    `The model '${name.slice(0, 64)}' has no version '${version.slice(0, 64)}'. Its version is ${target.version}.`,
  );
}

function byName(tail: TailContext, name: string): Target {
  const whole = tail.registry.models.get(name);
  if (whole) return dense(name, whole, 0, whole.manifest.inputs);
  const at = name.indexOf('@');
  if (at > 0) {
    const model = findModel(tail, name.slice(0, at));
    const cut = cutOf(model, name.slice(at + 1));
    return dense(name, model, cut + 1, model.manifest.cuts[cut]!.tensors);
  }
  if (!name.endsWith('.isthmus')) return dense(name, findModel(tail, name), 0, []); // throws with the list of names
  const model = findModel(tail, name.slice(0, -'.isthmus'.length));
  const bytes = (tensor: string): TensorInfo => ({ name: tensor, dtype: 'uint8', shape: ['bytes'] });
  return {
    name,
    version: modelTag(model.manifest),
    model,
    first: undefined,
    inputs: [bytes(FRAME_INPUT)],
    outputs: [bytes(REPLY_OUTPUT), ...model.manifest.outputs],
    usual: [REPLY_OUTPUT],
  };
}

function dense(name: string, model: ServedModel, first: number, inputs: readonly TensorInfo[]): Target {
  const { manifest } = model;
  const { outputs } = manifest;
  return {
    name,
    version: modelTag(manifest),
    model,
    first,
    inputs,
    outputs,
    usual: outputs.map((t) => t.name),
  };
}

/** By name, else by number. */
function cutOf({ manifest }: ServedModel, cut: string): number {
  const numbered = /^\d{1,4}$/.test(cut) && !manifest.cuts.some((c) => c.name === cut);
  return cutIndex(manifest, numbered ? Number(cut) : cut);
}

/** The model metadata object, the same in JSON and in protobuf; a dimension the caller chooses is -1. */
export function metadataOf({ name, version, first, inputs, outputs }: Target) {
  const port = ({ name: tensor, dtype, shape }: TensorInfo) => ({
    name: tensor,
    datatype: datatypeOf(dtype) as string,
    shape: shape.map((d) => (typeof d === 'number' ? d : -1)),
  });
  return {
    name,
    versions: [version],
    platform: first === undefined ? 'isthmus_frame' : 'onnx_onnxruntime',
    inputs: inputs.map(port),
    outputs: outputs.map(port),
  };
}
