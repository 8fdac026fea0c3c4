// Warm-up: every small model answers a tensor of zeros once per thread after the start, so that the first visitor does
// not pay for reading and optimising the segments. It waits in the same queue as requests and may fail without harm.
import { concreteShape } from '../../model/manifest.ts';
import { bytesPerElement, elementCount, type Tensors, viewBytes } from '../../tensor.ts';
import type { ModelFiles, TailBackend } from './backend.ts';

/** Larger models stay lazy: they may never be asked for, and would push others out of memory. */
const LARGEST_MODEL = 64 * 1024 * 1024;

/**
 * @param threads - how many threads should know each model
 * @returns the names of the models that answered
 */
export async function warmUp(
  models: Iterable<ModelFiles>,
  backend: TailBackend,
  threads: number,
): Promise<string[]> {
  const warm: string[] = [];
  for (const model of models) {
    const { name, segments } = model.manifest;
    if (segments.reduce((sum, s) => sum + s.bytes, 0) > LARGEST_MODEL) continue;
    const runs = Array.from({ length: threads }, (_, thread) =>
      backend.infer(model, 0, zeros(model), { id: 'warm-up', thread }),
    );
    const settled = await Promise.allSettled(runs);
    if (settled.every((run) => run.status === 'fulfilled')) warm.push(name);
  }
  return warm;
}

/** Fresh for every run: the backend moves its tensors away. */
function zeros({ manifest }: ModelFiles): Tensors {
  return Object.fromEntries(
    manifest.inputs.map((info) => {
      const shape = concreteShape(info);
      const bytes = new Uint8Array(elementCount(shape) * bytesPerElement(info.dtype));
      return [info.name, { dtype: info.dtype, shape, data: viewBytes(info.dtype, bytes) }];
    }),
  );
}
