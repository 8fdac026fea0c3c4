// From a request frame to what the tail begins with. Everything the frame claims is compared with the manifest here, before
// anything is decoded, so what a stranger can make us allocate is bounded by the model itself. Nothing is decoded here.
import type { EncodedTensor } from '../../codec/params.ts';
import { IsthmusError } from '../../errors.ts';
import {
  concreteShape,
  cutIndex,
  type Manifest,
  modelTag,
  type Preprocess,
  type TensorInfo,
} from '../../model/manifest.ts';
import { type Frame, INPUT_CUT } from '../../wire/layout.ts';
import type { EncodedTensors } from '../run/backend.ts';

/** A picture instead of the model's input. */
export interface PictureInput {
  file: Uint8Array;
  spec: Preprocess;
  /** It has the size of the crop already. */
  prepared: boolean;
}

export type TailInput =
  | { first: 0; picture: PictureInput }
  | {
      /** The first segment to run. */
      first: number;
      /** Of the names, element types and shapes that the manifest says. */
      tensors: EncodedTensors;
      picture?: never;
    };

/**
 * @throws IsthmusError FRAME_INVALID (not a request), MODEL_MISMATCH, CUT_INVALID, INPUT_INVALID
 */
export function inputTensors(frame: Frame, manifest: Manifest): TailInput {
  if (frame.kind !== 'request') {
    throw new IsthmusError('FRAME_INVALID', `A tail answers request frames, this is a ${frame.kind} frame.`);
  }
  if (frame.modelTag !== modelTag(manifest)) {
    throw new IsthmusError(
      'MODEL_MISMATCH',
      `The frame was made for model ${frame.modelTag}, but '${manifest.name}' is ${modelTag(manifest)} here. Fetch the manifest again and load its segments.`,
    );
  }
  if (frame.cut === INPUT_CUT) {
    const picture = frame.tensors[0];
    if (picture?.family === 'image') {
      return { first: 0, picture: pictureInput(frame.tensors, picture, manifest) };
    }
    return { first: 0, tensors: checked(frame.tensors, manifest.inputs, 'the input') };
  }
  const cut = manifest.cuts[cutIndex(manifest, frame.cut)]!;
  return { first: frame.cut + 1, tensors: checked(frame.tensors, cut.tensors, `the cut '${cut.name}'`) };
}

/** The manifest's recipe for pictures. @throws IsthmusError INPUT_INVALID for models that take none. */
export function pictureSpec({ name, inputs, preprocess }: Manifest): Preprocess {
  if (preprocess && inputs.length === 1 && inputs[0]!.name === preprocess.input) return preprocess;
  throw new IsthmusError(
    'INPUT_INVALID',
    `The model '${name}' does not take a picture. Send its input tensors in a frame.`,
  );
}

function pictureInput(
  all: readonly EncodedTensor[],
  { params, payload }: EncodedTensor,
  manifest: Manifest,
): PictureInput {
  const spec = pictureSpec(manifest);
  if (all.length !== 1)
    throw new IsthmusError('INPUT_INVALID', 'A picture travels alone. Send one tensor only.');
  const [encoding, prepared, zero1, zero2] = params;
  if (params.length !== 4 || encoding! > 2 || prepared! > 1 || zero1 !== 0 || zero2 !== 0) {
    throw new IsthmusError(
      'FRAME_INVALID',
      'The params of the picture are not those of FORMAT.md, "Family image".',
    );
  }
  return { file: payload, spec, prepared: prepared === 1 };
}

function checked(
  tensors: readonly EncodedTensor[],
  wanted: readonly TensorInfo[],
  where: string,
): EncodedTensors {
  if (tensors.length !== wanted.length) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `${tensors.length} tensors came, but ${where} has ${wanted.length}: ${wanted.map((t) => t.name).join(', ')}.`,
    );
  }
  for (const [i, info] of wanted.entries()) checkTensor(tensors[i]!, info, where);
  return Object.fromEntries(wanted.map(({ name }, i) => [name, tensors[i]!]));
}

function checkTensor({ family, dtype, shape }: EncodedTensor, info: TensorInfo, where: string): void {
  const want = concreteShape(info);
  const same =
    dtype === info.dtype && shape.length === want.length && want.every((dim, i) => dim === shape[i]);
  if (family !== 'image' && same) return;
  throw new IsthmusError(
    'INPUT_INVALID',
    `'${info.name}' at ${where} must be ${info.dtype} [${want}], not ${family === 'image' ? 'a picture' : `${dtype} [${shape}]`}. Send one sample of that shape.`,
  );
}
