// Families that only carry bytes (raw, image), and the CONST tensors that the quantising families share.
import { Bytes } from './bytes.ts';
import { ELEMENT_SIZE, isQuantisable, packFloats } from './elements.ts';
import { demand } from './refuse.ts';
import { elementCount, SIGNED, type TensorRecord } from './tensorRecord.ts';

/** The payload, which is the elements. */
export function decodeRaw(tensor: TensorRecord): Uint8Array {
  demand(tensor.params.length === 0 && tensor.flags === 0, 'raw has no params and no flags');
  demand(
    tensor.payload.length === elementCount(tensor.shape) * ELEMENT_SIZE[tensor.type],
    'raw payload is not as long as the shape says',
  );
  demand(tensor.type !== 'bool' || tensor.payload.every((b) => b < 2), 'bool is 0 or 1');
  return tensor.payload;
}

/** The picture's file, not looked into. */
export function decodeImage(tensor: TensorRecord): Uint8Array {
  demand(tensor.type === 'uint8', 'an image has uint8');
  demand(tensor.shape.length === 3 && tensor.shape[2] === 3, 'an image is [height, width, 3]');
  demand(tensor.flags === 0, 'an image has no flags');
  demand(tensor.params.length === 4, 'image params are 4 bytes');
  const [encoding, prepared, ...zeros] = tensor.params;
  demand(encoding! <= 2 && prepared! <= 1 && zeros.every((b) => b === 0), 'image params');
  return tensor.payload;
}

/** The element types and element count that slicer, rans and isthmus take. */
export function demandQuantisable(tensor: TensorRecord): number {
  demand(isQuantisable(tensor.type), 'this family takes float32 and float16 only');
  const T = elementCount(tensor.shape);
  demand(T <= 2 ** 24, 'more than 2^24 elements');
  return T;
}

/** A tensor that repeats one number. */
export function decodeConst(tensor: TensorRecord, T: number): Uint8Array {
  demand((tensor.flags & SIGNED) === 0, 'CONST with SIGNED');
  demand(tensor.payload.length === 0, 'CONST with a payload');
  demand(tensor.params.length === 4, 'CONST params are 4 bytes');
  const pattern = new Bytes(tensor.params).uint(4, 'value');
  const value = new Float32Array(new Uint32Array([pattern]).buffer)[0]!;
  demand(Number.isFinite(value), 'CONST value is not finite');
  return packFloats(new Float32Array(T).fill(value), tensor.type);
}
