// Decoding for backends that run elsewhere: in a worker thread, as a few million elements would stop the event loop for a
// tenth of a second. What needs no decoding goes no detour.
import { decodeTensor } from '../../codec/cpu/decode.ts';
import type { CodecProfile } from '../../codec/profile.ts';
import type { EncodedTensors, InferOptions } from './backend.ts';
import type { JobResult } from './jobs.ts';
import type { Threads } from './threads.ts';

/**
 * @param tensors their shapes have been compared with what is expected; their buffers may move away
 * @throws IsthmusError FRAME_INVALID, CODEC_INVALID, TOO_LARGE, and as {@link Threads.run}
 */
export async function decodeInThread(
  threads: Threads,
  tensors: EncodedTensors,
  profiles: ReadonlyMap<string, CodecProfile> | undefined,
  options: InferOptions,
): Promise<JobResult> {
  const entries = Object.entries(tensors);
  if (entries.some(([, { family }]) => family !== 'raw'))
    return threads.run({ kind: 'decode', tensors, profiles }, options);
  const outputs = Object.fromEntries(entries.map(([name, tensor]) => [name, decodeTensor(tensor)]));
  return { outputs, queue: 0, decoding: 0, working: 0 };
}
