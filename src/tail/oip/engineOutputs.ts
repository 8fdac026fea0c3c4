// What an engine answered, compared with the manifest before it is believed: names, element types, shapes and sizes. An
// engine that serves another version of the model is found here, not by whoever reads the answer.
import { IsthmusError } from '../../errors.ts';
import type { TensorInfo } from '../../model/manifest.ts';
import { bytesPerElement, elementCount, type Tensor, type Tensors, viewBytes } from '../../tensor.ts';
import { datatypeOf, fromNumbers } from './datatypes.ts';
import type { EngineOutput } from './engine.ts';
import { engineFailed } from './engineErrors.ts';
import { fits, type Sizes, wanted } from './shapes.ts';

/**
 * @param sizes of symbolic dimensions, as the inputs have them
 * @throws IsthmusError INFERENCE_FAILED naming the tensor
 */
export function engineOutputs(
  given: readonly EngineOutput[],
  outputs: readonly TensorInfo[],
  sizes: Sizes,
  address: string,
): Tensors {
  const tensors = outputs.map((info): [string, Tensor] => {
    const output = given.find((o) => o.name === info.name);
    if (!output) throw engineFailed(address, `without the output '${info.name}'. Its model is another one.`);
    return [info.name, checked(output, info, sizes, address)];
  });
  return Object.fromEntries(tensors);
}

function checked(
  { name, datatype, shape, bytes, numbers }: EngineOutput,
  info: TensorInfo,
  sizes: Sizes,
  address: string,
): Tensor {
  const { dtype } = info;
  if (datatype !== datatypeOf(dtype) || !fits(shape, info, sizes, 0)) {
    throw engineFailed(
      address,
      `'${name}' is ${datatype.slice(0, 16)} [${shape.slice(0, 16)}], but the manifest promises ${datatypeOf(dtype)} ${wanted(info)}. Its model is another one.`,
    );
  }
  const count = elementCount(shape);
  if (!bytes) {
    try {
      return { dtype, shape, data: fromNumbers(dtype, numbers, count, name) };
    } catch (thrown) {
      throw engineFailed(
        address,
        IsthmusError.from(thrown, 'INFERENCE_FAILED', 'no numbers').message,
        thrown,
      );
    }
  }
  if (bytes.length !== count * bytesPerElement(dtype))
    throw engineFailed(
      address,
      `'${name}' has ${bytes.length} bytes, its shape asks for ${count * bytesPerElement(dtype)}.`,
    );
  // A Buffer's slice() would be no copy, and viewBytes makes one where the offset does not suit the type.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  return { dtype, shape, data: viewBytes(dtype, plain) };
}
