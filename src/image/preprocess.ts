// Preprocessing on the CPU: picture in, input tensor out, as the manifest's `preprocess` says. Used by Node, the tail
// and the browser's wasm path; the GPU path takes `cropPlan` from here and does the same arithmetic in WGSL.
import { LIMITS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import type { Pixels } from '../head/runtime.ts';
import type { Preprocess } from '../model/manifest.ts';
import type { Tensor } from '../tensor.ts';
import { resample, type WeightTable, weightTable } from './resample.ts';

/** What the sizes alone decide: the weights for each axis of the crop, `width` × `height` pixels. */
export interface CropPlan {
  width: number;
  height: number;
  horizontal: WeightTable;
  vertical: WeightTable;
}

/** Rows times crop width: what a strip of 1 × 100 million pixels would make us compute. About a second. */
const MAX_ROW_WORK = 2 ** 27;

/** Two weights per pixel of a side: a row of 60 million pixels, a PNG of 60 KB, would make us hold 480 MB of them. */
const MAX_SIDE = 2 ** 22;

/** Size after resizing, before the crop; as torchvision: the long side is truncated, not rounded. */
export function resizedSize(width: number, height: number, resize: Preprocess['resize']): [number, number] {
  if ('exact' in resize) return [resize.exact[0]!, resize.exact[1]!];
  const { short } = resize;
  return width <= height
    ? [short, Math.trunc((short * height) / width)]
    : [Math.trunc((short * width) / height), short];
}

/** Python's round: halves go to the even neighbour. torchvision's centre crop depends on it. */
function roundHalfEven(x: number): number {
  const floor = Math.floor(x);
  return x - floor === 0.5 ? floor + (floor & 1) : Math.round(x);
}

/**
 * Turns the size of a picture into weight tables for exactly the pixels of the centre crop.
 *
 * @throws IsthmusError MANIFEST_INVALID when the crop is larger than the resized picture or than the size limit,
 *   IMAGE_INVALID when the picture has no pixels, IMAGE_TOO_LARGE when it is a strip of absurd length.
 */
export function cropPlan(width: number, height: number, spec: Preprocess): CropPlan {
  const [cropWidth, cropHeight] = spec.crop as [number, number];
  if (!(width >= 1 && height >= 1)) {
    throw new IsthmusError(
      'IMAGE_INVALID',
      `A picture of ${width}×${height} pixels is empty. Choose another one.`,
    );
  }
  const [fullWidth, fullHeight] = resizedSize(width, height, spec.resize);
  if (cropWidth > fullWidth || cropHeight > fullHeight || cropWidth * cropHeight * 12 > LIMITS.outputBytes) {
    throw new IsthmusError(
      'MANIFEST_INVALID',
      `The crop of ${cropWidth}×${cropHeight} does not fit into the resized picture (${fullWidth}×${fullHeight}) or is too large. Correct "resize" and "crop" of the preprocessing.`,
    );
  }
  if (height * cropWidth > MAX_ROW_WORK || Math.max(width, height) > MAX_SIDE) {
    throw new IsthmusError(
      'IMAGE_TOO_LARGE',
      `A picture of ${width}×${height} pixels is too long a strip to be scaled. Crop it first.`,
    );
  }
  const x = roundHalfEven((fullWidth - cropWidth) / 2);
  const y = roundHalfEven((fullHeight - cropHeight) / 2);
  return {
    width: cropWidth,
    height: cropHeight,
    horizontal: weightTable(width, fullWidth, x, cropWidth),
    vertical: weightTable(height, fullHeight, y, cropHeight),
  };
}

/**
 * Resizes, crops and normalises a picture of any size. Transparent pixels lie on white. `spec.mean` and `spec.std`
 * are in the tensor's channel order, so blue comes first when `spec.channels` is BGR.
 *
 * @returns float32 [1, 3, height, width] or [1, height, width, 3], by `spec.layout`.
 * @example
 * const tensor = preprocessImage({ width, height, data }, manifest.preprocess);
 */
export function preprocessImage(pixels: Pixels, spec: Preprocess): Tensor {
  const plan = cropPlan(pixels.width, pixels.height, spec);
  return normalise(resample(pixels, plan.horizontal, plan.vertical), spec);
}

/** The model's crop as a picture, opaque RGBA, values rounded to whole bytes: what the `remote` plan uploads. */
export function resizeToCrop(pixels: Pixels, spec: Preprocess): Pixels {
  const plan = cropPlan(pixels.width, pixels.height, spec);
  const rgb = resample(pixels, plan.horizontal, plan.vertical);
  const data = new Uint8ClampedArray(plan.width * plan.height * 4);
  for (let i = 0, p = 0; i < rgb.length; i += 3, p += 4) {
    data[p] = rgb[i]!;
    data[p + 1] = rgb[i + 1]!;
    data[p + 2] = rgb[i + 2]!;
    data[p + 3] = 255;
  }
  return { width: plan.width, height: plan.height, data };
}

/**
 * For a picture that has the size of the crop already (an upload of the `remote` plan): normalises, nothing else.
 * @throws IsthmusError IMAGE_INVALID when it has another size.
 */
export function normaliseOnly(pixels: Pixels, spec: Preprocess): Tensor {
  const [width, height] = spec.crop as [number, number];
  if (pixels.width !== width || pixels.height !== height) {
    throw new IsthmusError(
      'IMAGE_INVALID',
      `A prepared picture must have the model's ${width}×${height} pixels, not ${pixels.width}×${pixels.height}. Send it as an unprepared one.`,
    );
  }
  return normalise(resample(pixels, weightTable(width, width), weightTable(height, height)), spec);
}

function normalise(rgb: Float64Array, spec: Preprocess): Tensor {
  const [width, height] = spec.crop as [number, number];
  const area = width * height;
  const planar = spec.layout === 'NCHW';
  const data = new Float32Array(area * 3);
  for (let channel = 0; channel < 3; channel++) {
    const source = spec.channels === 'BGR' ? 2 - channel : channel;
    const scale = 1 / (255 * spec.std[channel]!);
    const offset = -spec.mean[channel]! / spec.std[channel]!;
    const [at, stride] = planar ? [channel * area, 1] : [channel, 3];
    for (let i = 0; i < area; i++) data[at + i * stride] = rgb[i * 3 + source]! * scale + offset;
  }
  return { dtype: 'float32', shape: planar ? [1, 3, height, width] : [1, height, width, 3], data };
}
