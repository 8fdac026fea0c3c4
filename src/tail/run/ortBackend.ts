// TailBackend on onnxruntime-node: turns "segments first…last of this model" into a job for the threads, and says which
// jobs may run together.
import type { Manifest, TensorInfo } from '../../model/manifest.ts';
import type { InferOptions, InferResult, ModelFiles, TailBackend } from './backend.ts';
import { rowsOf } from './stack.ts';
import type { JobTensors } from './threadMessages.ts';
import type { Threads } from './threads.ts';

/**
 * The tensors given to `infer` and `inferEncoded` are moved away: do not read them afterwards.
 * @example const backend = createOrtBackend(createThreads({ threads: 4 }));
 */
export function createOrtBackend(threads: Threads): TailBackend {
  async function infer(
    { manifest, path, fd, profiles }: ModelFiles,
    first: number,
    tensors: JobTensors,
    options: InferOptions,
  ): Promise<InferResult> {
    const segments = manifest.segments
      .map(({ sha256, bytes }, i) => ({ path: path(i), fd: fd?.(sha256), sha256, bytes }))
      .slice(first);
    const outputs = manifest.outputs.map((t) => t.name);
    const together = batchKey(manifest, first, tensors);
    const { queue, decoding, working, ...result } = await threads.run(
      { kind: 'run', segments, tensors, outputs, profiles, together },
      options,
    );
    return { outputs: result.outputs, timings: { queue, decode: decoding, tail: working } };
  }
  return { infer, inferEncoded: infer, close: () => threads.close() };
}

/**
 * What jobs share that may run together; undefined for those that run alone: the manifest names one and the same free
 * dimension in front of everything that is read or written from this segment on.
 */
function batchKey(
  { id, inputs, cuts, outputs }: Manifest,
  first: number,
  tensors: JobTensors,
): string | undefined {
  const stations: readonly TensorInfo[][] = [inputs, ...cuts.map((cut) => cut.tensors), outputs];
  const names = new Set(stations.slice(first).flatMap((station) => station.map((t) => t.shape[0])));
  const [name] = names;
  if (names.size !== 1 || typeof name !== 'string' || !rowsOf(tensors)) return undefined;
  const shapes = Object.keys(tensors)
    .sort()
    .map((key) => `${key} ${tensors[key]!.dtype} ${tensors[key]!.shape.slice(1)}`);
  return [id, first, ...shapes].join('|');
}
