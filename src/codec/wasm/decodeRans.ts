// The WebAssembly decoder of family `rans`. It gives the values of codec/reference for what an encoder makes; for anything
// else, or where it cannot run, it gives nothing, and the decoder in codec/cpu says what is wrong.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { stepsOf, valuesOf } from '../reference/aiq.ts';
import { readRansParams, symbolCount } from '../reference/ransLayout.ts';
import { longestPayload, MAX_DECODED_ELEMENTS, withArena } from './arena.ts';
import { decodeStream } from './ransStream.ts';

/**
 * @param total product of the shape, checked against the limits by the caller
 * @returns the elements; `undefined`: ask codec/cpu
 * @throws IsthmusError FRAME_INVALID
 */
export function decodeRans(
  { flags, params, payload }: EncodedTensor,
  total: number,
): Float32Array | undefined {
  if (flags & ~TENSOR_FLAGS.SANITISED || total > MAX_DECODED_ELEMENTS) return undefined;
  if (payload.length > longestPayload(total)) return undefined;
  return withArena((arena) => {
    const { kernels } = arena;
    const { quantiser, csr, lanes, table } = readRansParams(params, total);
    const { zero, top } = stepsOf(quantiser);
    const count = symbolCount(csr);
    const symbols = arena.take(count + 16);
    const values = arena.take(4 * 256);
    const starts = arena.take(4 * csr.present + 64);
    const output = arena.take(4 * total + 1024);
    if (!decodeStream(arena, payload, lanes, table, symbols, count)) return undefined;
    arena.floats(values, 256).fill(0).set(valuesOf(quantiser));
    const { rows, columns, present } = csr;
    if (!kernels.csrPlace(symbols, present, rows, columns, zero, top, values, starts, output))
      return undefined;
    return new Float32Array(arena.copy(output, 4 * total));
  });
}
