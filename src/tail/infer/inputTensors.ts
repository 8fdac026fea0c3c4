// From a request frame to the tensors the tail begins with. Everything the frame claims is compared with the manifest
// before anything is decoded, so what a stranger can make us allocate is bounded by the model itself.
import { decodeTensor } from '../../codec/cpu/decode.ts';
import type { EncodedTensor } from '../../codec/params.ts';
import type { CodecProfile } from '../../codec/profile.ts';
import { IsthmusError } from '../../errors.ts';
import {
  concreteShape,
  cutIndex,
  type Manifest,
  modelTag,
  type Preprocess,
  type TensorInfo,
} from '../../model/manifest.ts';
import type { Tensors } from '../../tensor.ts';
import { type Frame, INPUT_CUT } from '../../wire/layout.ts';

/** Decodes and preprocesses a picture; elsewhere, so that nothing blocks here. */
export type PictureReader = (file: Uint8Array, spec: Preprocess, prepared: boolean) => Promise<Tensors>;

type ProfileMap = ReadonlyMap<string, CodecProfile>;

export interface TailInput {
  /** The first segment to run. */
  first: number;
  tensors: Tensors;
}

/**
 * @throws IsthmusError FRAME_INVALID (not a request), MODEL_MISMATCH, CUT_INVALID, INPUT_INVALID, and what decoding
 *   throws: FRAME_INVALID, CODEC_INVALID, IMAGE_INVALID, IMAGE_TOO_LARGE.
 */
export async function inputTensors(
  frame: Frame,
  manifest: Manifest,
  readPicture: PictureReader,
  profiles: ProfileMap = new Map(),
): Promise<TailInput> {
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
      return { first: 0, tensors: await pictureInput(frame.tensors, picture, manifest, readPicture) };
    }
    return { first: 0, tensors: decodeAll(frame.tensors, manifest.inputs, 'the input', profiles) };
  }
  const cut = manifest.cuts[cutIndex(manifest, frame.cut)]!;
  return {
    first: frame.cut + 1,
    tensors: decodeAll(frame.tensors, cut.tensors, `the cut '${cut.name}'`, profiles),
  };
}

/** The manifest's recipe for pictures. @throws IsthmusError INPUT_INVALID for models that take none. */
export function pictureSpec({ name, inputs, preprocess }: Manifest): Preprocess {
  if (preprocess && inputs.length === 1 && inputs[0]!.name === preprocess.input) return preprocess;
  throw new IsthmusError(
    'INPUT_INVALID',
    `The model '${name}' does not take a picture. Send its input tensors in a frame.`,
  );
}

async function pictureInput(
  all: readonly EncodedTensor[],
  { params, payload }: EncodedTensor,
  manifest: Manifest,
  readPicture: PictureReader,
): Promise<Tensors> {
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
  return readPicture(payload, spec, prepared === 1);
}

function decodeAll(
  tensors: readonly EncodedTensor[],
  wanted: readonly TensorInfo[],
  where: string,
  profiles: ProfileMap,
): Tensors {
  if (tensors.length !== wanted.length) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `${tensors.length} tensors came, but ${where} has ${wanted.length}: ${wanted.map((t) => t.name).join(', ')}.`,
    );
  }
  for (const [i, info] of wanted.entries()) checkTensor(tensors[i]!, info, where);
  const options = { profiles: (name: string) => profiles.get(name) };
  return Object.fromEntries(wanted.map(({ name }, i) => [name, decodeTensor(tensors[i]!, options)]));
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
