// TailBackend on onnxruntime-node: turns "segments first…last of this model" into a job for the threads.
import type { InferResult, ModelFiles, TailBackend } from './backend.ts';
import type { Threads } from './threads.ts';

/**
 * The tensors given to `infer` are moved away: do not read them afterwards.
 * @example const backend = createOrtBackend(createThreads({ threads: 4 }));
 */
export function createOrtBackend(threads: Threads): TailBackend {
  return {
    async infer({ manifest, path }: ModelFiles, first, tensors, options): Promise<InferResult> {
      const segments = manifest.segments
        .map(({ sha256, bytes }, i) => ({ path: path(i), sha256, bytes }))
        .slice(first);
      const names = manifest.outputs.map((t) => t.name);
      const { outputs, queue, working } = await threads.run(
        { kind: 'run', segments, tensors, outputs: names },
        options,
      );
      return { outputs, timings: { queue, tail: working } };
    },
    close: () => threads.close(),
  };
}
