// Checks what enters segment 0 before anything runs: tensors against the manifest's inputs, pictures against the
// manifest's preprocessing. It converts nothing.
import { IsthmusError } from '../errors.ts';
import { concreteShape, type Manifest, type Preprocess } from '../model/manifest.ts';
import { elementCount, type Tensors, viewBytes } from '../tensor.ts';

const signature = (manifest: Manifest) =>
  manifest.inputs.map((i) => `${i.name}: ${i.dtype}[${concreteShape(i)}]`).join(', ');

/** @throws IsthmusError INPUT_INVALID naming the input, what it is and what it must be. */
export function checkTensors(tensors: Tensors, manifest: Manifest): void {
  const wrong = (what: string) =>
    new IsthmusError('INPUT_INVALID', `${what}. The model '${manifest.name}' takes ${signature(manifest)}.`);
  for (const name of Object.keys(tensors)) {
    if (!manifest.inputs.some((i) => i.name === name)) throw wrong(`There is no input '${name}'`);
  }
  for (const info of manifest.inputs) {
    const tensor = tensors[info.name];
    if (!tensor) throw wrong(`The input '${info.name}' is missing`);
    const shape = concreteShape(info);
    if (tensor.dtype !== info.dtype) throw wrong(`'${info.name}' is ${tensor.dtype}, not ${info.dtype}`);
    if (tensor.shape.length !== shape.length || shape.some((dim, i) => dim !== tensor.shape[i])) {
      throw wrong(`'${info.name}' has the shape [${tensor.shape}], not [${shape}]`);
    }
    const sample = viewBytes(info.dtype, new Uint8Array(0));
    if (tensor.data.constructor !== sample.constructor || tensor.data.length !== elementCount(shape)) {
      throw wrong(`'${info.name}' needs ${elementCount(shape)} elements in a ${sample.constructor.name}`);
    }
  }
}

/**
 * @returns how a picture becomes the model's input
 * @throws IsthmusError INPUT_INVALID telling what to pass when pictures cannot be used with this model
 */
export function preprocessOf(manifest: Manifest): Preprocess {
  const { preprocess } = manifest;
  const input = manifest.inputs.find((i) => i.name === preprocess?.input);
  if (preprocess && manifest.inputs.length === 1 && input?.dtype === 'float32') return preprocess;
  throw new IsthmusError(
    'INPUT_INVALID',
    `The model '${manifest.name}' cannot take a picture. Pass tensors: ${signature(manifest)}.`,
  );
}
