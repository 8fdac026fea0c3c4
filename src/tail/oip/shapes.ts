// Shapes that strangers send, compared with the manifest before anything is allocated. A symbolic dimension (the batch)
// may have any size, the same wherever it is named; all others are what the manifest says.
import { IsthmusError } from '../../errors.ts';
import type { TensorInfo } from '../../model/manifest.ts';
import { bytesPerElement, elementCount } from '../../tensor.ts';

/** Sizes of symbolic dimensions, by name, as far as they are known. */
export type Sizes = Map<string, number>;

/** The largest tensor that is taken or given, in bytes. */
const LARGEST_TENSOR = 64 * 1024 * 1024;

/**
 * Whether `shape` fits; binds symbolic dimensions in `sizes`.
 * @param least smallest size of a symbolic dimension: 1 for a batch, 0 for what a model may find none of
 */
export function fits(shape: readonly number[], info: TensorInfo, sizes: Sizes, least = 1): boolean {
  if (shape.length !== info.shape.length) return false;
  return info.shape.every((want, i) => {
    const dim = shape[i]!;
    if (typeof want === 'number') return dim === want;
    const known = sizes.get(want);
    if (known !== undefined) return dim === known;
    if (!Number.isSafeInteger(dim) || dim < least) return false;
    sizes.set(want, dim);
    return true;
  });
}

/** What a tensor must be, in words. */
export const wanted = ({ shape }: TensorInfo) =>
  `[${shape.map((d) => (typeof d === 'number' ? d : `${d} ≥ 1`)).join(', ')}]`;

/**
 * The elements of an input of that shape.
 * @throws IsthmusError INPUT_INVALID, TOO_LARGE
 */
export function checkedCount(shape: readonly number[], info: TensorInfo, sizes: Sizes): number {
  if (!fits(shape, info, sizes)) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `'${info.name}' must have the shape ${wanted(info)}, not [${shape.slice(0, 16)}]; a name stands for the same size everywhere.`,
    );
  }
  const count = elementCount(shape);
  if (count * bytesPerElement(info.dtype) > LARGEST_TENSOR) {
    throw new IsthmusError(
      'TOO_LARGE',
      `'${info.name}' is larger than ${LARGEST_TENSOR >> 20} MiB. Send a smaller batch.`,
    );
  }
  return count;
}

/**
 * The shape of a tensor of that many bytes, where at most one dimension is open.
 * @throws IsthmusError INPUT_INVALID
 */
export function shapeFromBytes(bytes: number, info: TensorInfo): number[] {
  const open = info.shape.filter((d) => typeof d === 'string').length;
  const known = info.shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1);
  const size = bytes / (known * bytesPerElement(info.dtype));
  if (open > 1 || !Number.isSafeInteger(size) || size < 1 || (open === 0 && size !== 1)) {
    throw new IsthmusError(
      'INPUT_INVALID',
      `${bytes} bytes are no '${info.name}' of shape ${wanted(info)}. Send the tensor whole, or with its shape in JSON.`,
    );
  }
  return info.shape.map((d) => (typeof d === 'number' ? d : size));
}
