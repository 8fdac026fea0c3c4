// What a tensor declares, checked before anything is allocated for it. Every decoder asks here first, so that all refuse the
// same tensors in the same order; families check their params afterwards.
import { IsthmusError } from '../../errors.ts';
import { countedBytes, type EncodedTensor, LIMITS } from '../params.ts';
import { damaged } from './slicerLayout.ts';

/**
 * @param outputBytes the most that the decoded tensor may count; see `countedBytes`
 * @returns the number of elements
 * @throws IsthmusError FRAME_INVALID (rank or dimensions), TOO_LARGE
 */
export function declaredElements({ family, dtype, shape }: EncodedTensor, outputBytes: number): number {
  if (shape.length > LIMITS.rank) throw damaged(`it has ${shape.length} dimensions`);
  let count = 1;
  for (const dim of shape) {
    if (!Number.isInteger(dim) || dim < 0 || dim > LIMITS.dimension) throw damaged(`its shape is [${shape}]`);
    count *= dim; // at most 2^(31·8), which a double holds
  }
  if (count * countedBytes(family, dtype) <= outputBytes) return count;
  throw new IsthmusError(
    'TOO_LARGE',
    `A tensor of shape [${shape}] is above the limit of ${outputBytes} bytes. Send less or raise the limit.`,
  );
}
