// How a picture becomes the input tensor: the named recipes of `--preprocess`, fitted to a model's input. Writes the
// manifest's entry; resampling itself is in src/image.
import { IsthmusError } from '../errors.ts';
import type { Preprocess, TensorInfo } from './manifest.ts';

const STATISTICS = {
  /** torchvision's and most ONNX zoo classifiers. */
  imagenet: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  /** [-1, 1], as in TensorFlow's MobileNets. */
  symmetric: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
} as const;

/** The short side is scaled to 256/224 of the crop, as everyone has done since AlexNet. */
const MARGIN = 256 / 224;
/** Below this size pictures are thumbnails (CIFAR) that are used whole. */
const THUMBNAIL = 64;

/**
 * The manifest's `preprocess`. A named recipe scales and crops for square inputs of classifiers; it scales to the exact
 * size for thumbnails, for inputs that are not square, and where outputs have a geometry of their own (segmentation,
 * boxes) that must cover the whole picture.
 *
 * @param wanted a recipe's name, or the entry itself with `input` optional
 * @throws IsthmusError OPTION_INVALID when no input of the model is a picture.
 */
export function preprocessFor(
  wanted: 'imagenet' | 'symmetric' | object,
  inputs: readonly TensorInfo[],
  outputs: readonly TensorInfo[],
): Preprocess {
  if (typeof wanted === 'object') {
    const { kind = 'image', input = picture(inputs).info.name, ...rest } = wanted as Partial<Preprocess>;
    const target = inputs.find((t) => t.name === input);
    if (!target)
      throw wrong(`the model has no input '${input}'; it has ${inputs.map((t) => t.name).join(', ')}`);
    const entry = { ...rest, kind, input } as Preprocess;
    checkFit(entry, target);
    return entry;
  }
  const statistics = Object.hasOwn(STATISTICS, wanted) ? STATISTICS[wanted] : undefined;
  if (!statistics)
    throw wrong(`there is no recipe '${wanted}'; there are ${Object.keys(STATISTICS).join(', ')}`);
  const { info, layout, width, height } = picture(inputs);
  const whole = width !== height || width < THUMBNAIL || outputs.some(hasGeometry);
  return {
    kind: 'image',
    input: info.name,
    resize: whole ? { exact: [width, height] } : { short: Math.round(width * MARGIN) },
    crop: [width, height],
    mean: [...statistics.mean],
    std: [...statistics.std],
    layout,
    channels: 'RGB',
  };
}

/** Scores are [N, classes], perhaps with trailing ones; anything larger than that speaks of places. */
function hasGeometry({ shape }: TensorInfo): boolean {
  return shape.slice(2).some((d) => d !== 1);
}

interface Picture {
  info: TensorInfo;
  layout: 'NCHW' | 'NHWC';
  width: number;
  height: number;
}

function picture(inputs: readonly TensorInfo[]): Picture {
  for (const info of inputs) {
    const found = asPicture(info);
    if (found) return found;
  }
  const shapes = inputs.map((t) => `'${t.name}' ${t.dtype} [${t.shape}]`).join(', ');
  throw wrong(
    `no input is a float32 picture of three channels: ${shapes}. Leave --preprocess out and feed tensors`,
  );
}

function asPicture(info: TensorInfo): Picture | undefined {
  const [n, a, b, c] = info.shape;
  if (info.shape.length !== 4 || info.dtype !== 'float32' || (typeof n === 'number' && n !== 1))
    return undefined;
  if (a === 3 && typeof b === 'number' && typeof c === 'number')
    return { info, layout: 'NCHW', height: b, width: c };
  if (c === 3 && typeof a === 'number' && typeof b === 'number')
    return { info, layout: 'NHWC', height: a, width: b };
  return undefined;
}

/** The picture must fill the input; whether the other fields are well formed is the schema's to say. */
function checkFit(entry: Preprocess, target: TensorInfo): void {
  const fits = asPicture(target);
  const [width, height] = Array.isArray(entry.crop) ? entry.crop : [];
  if (fits && fits.layout === entry.layout && fits.width === width && fits.height === height) return;
  throw wrong(
    `crop ${JSON.stringify(entry.crop)} and layout ${entry.layout} do not fill the input '${target.name}' [${target.shape}]`,
  );
}

const wrong = (what: string) =>
  new IsthmusError('OPTION_INVALID', `The preprocessing does not fit: ${what}.`);
