// Measuring segment 0 for `device: 'auto'`: inputs of zeros, one run to warm up, the median of three.
import { concreteShape, type Manifest } from '../model/manifest.ts';
import { bytesPerElement, elementCount, type Tensors, viewBytes } from '../tensor.ts';

/** An input of zeros for every input of the model, batch of one. */
export function zeroInputs(manifest: Manifest): Tensors {
  const tensors: Tensors = {};
  for (const info of manifest.inputs) {
    const shape = concreteShape(info);
    const bytes = new Uint8Array(elementCount(shape) * bytesPerElement(info.dtype));
    tensors[info.name] = { dtype: info.dtype, shape, data: viewBytes(info.dtype, bytes) };
  }
  return tensors;
}

/** @returns milliseconds */
export async function medianOfRuns(run: () => Promise<void>): Promise<number> {
  await run(); // compiles shaders, fills caches
  const times: number[] = [];
  for (let i = 0; i < 3; i++) {
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
  }
  return times.sort((a, b) => a - b)[1]!;
}
