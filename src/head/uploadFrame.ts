// The frame of the `remote` plan: opens an input, checks it and writes it as an upload. It needs neither a device nor onnxruntime,
// so that the page can do it as well while its worker is away.
import { encodeTensor } from '../codec/cpu/encode.ts';
import type { CodecParams } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { type Manifest, modelTag } from '../model/manifest.ts';
import { elementCount, tensorBytes } from '../tensor.ts';
import { INPUT_CUT } from '../wire/layout.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { checkTensors, preprocessOf } from './checkInput.ts';
import type { EngineInput } from './engine.ts';
import { openPicture } from './picture.ts';
import type { HeadResult, RuntimeInput } from './runtime.ts';
import { cropPicture, encodePicture } from './upload.ts';

/** @throws IsthmusError OPTION_INVALID; INPUT_INVALID, IMAGE_INVALID or IMAGE_TOO_LARGE for the input */
export async function uploadFrame(
  manifest: Manifest,
  input: RuntimeInput,
  format: 'jpeg' | 'webp',
  quality: number,
): Promise<HeadResult> {
  if (!(quality >= 0 && quality <= 1)) {
    throw new IsthmusError('OPTION_INVALID', `quality must lie in 0…1, not ${quality}. Correct the option.`);
  }
  const frame = (tensors: Parameters<typeof writeFrame>[0]['tensors']) =>
    writeFrame({ kind: 'request', modelTag: modelTag(manifest), cut: INPUT_CUT, meta: {}, tensors });
  return openInput(manifest, input, async (engineInput, opening) => {
    const started = performance.now();
    if ('tensors' in engineInput) {
      const raw: CodecParams = { family: 'raw' };
      const given = manifest.inputs.map((info) => engineInput.tensors[info.name]!);
      const encoded = given.map((tensor) => encodeTensor(tensor, raw));
      const rawBytes = given.reduce((sum, tensor) => sum + tensorBytes(tensor).byteLength, 0);
      return { frame: frame(encoded), timings: { encode: performance.now() - started }, rawBytes };
    }
    const crop = cropPicture(engineInput.picture, preprocessOf(manifest));
    const cropped = performance.now();
    const encoded = await encodePicture(crop, format, quality);
    const timings = { preprocess: cropped - started + opening, encode: performance.now() - cropped };
    return { frame: frame([encoded]), timings, rawBytes: 4 * elementCount([3, crop.height, crop.width]) };
  });
}

/** Checks the input and decodes a picture, before anything is computed. */
export async function openInput<T>(
  manifest: Manifest,
  input: RuntimeInput,
  use: (input: EngineInput, openingMs: number) => Promise<T>,
): Promise<T> {
  if (input.kind === 'tensors') {
    checkTensors(input.tensors, manifest);
    return use({ tensors: input.tensors }, 0);
  }
  preprocessOf(manifest);
  const started = performance.now();
  const { picture, release } = await openPicture(input);
  try {
    return await use({ picture }, performance.now() - started);
  } finally {
    release();
  }
}
