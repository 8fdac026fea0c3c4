// Jobs: what the tail asks of its threads, and what comes back. Types, and the few facts that follow from them.
import { abortError } from '../../abort.ts';
import type { CodecProfile } from '../../codec/profile.ts';
import { IsthmusError } from '../../errors.ts';
import type { Tensors } from '../../tensor.ts';
import type {
  DecodeWork,
  ItemReply,
  JobTensors,
  PictureWork,
  RunItem,
  RunWork,
  ThreadReply,
  WorkMessage,
} from './threadMessages.ts';

/** Where tensors are encoded: the profiles that they may name. */
interface Profiled {
  profiles?: ReadonlyMap<string, CodecProfile> | undefined;
}

/** Run segments one after the other. */
export interface RunJob extends Pick<RunWork, 'kind' | 'segments' | 'outputs'>, Profiled {
  tensors: JobTensors;
  /**
   * Jobs with the same key have the same segments and outputs, and a batch in the first dimension of all their tensors;
   * they may run together, once it has been seen that this does not change their answers.
   */
  together?: string | undefined;
}

interface DecodeJob extends DecodeWork, Profiled {}

type PictureJob = PictureWork;
export type Job = RunJob | PictureJob | DecodeJob;

export interface JobResult {
  outputs: Tensors;
  /** Milliseconds of waiting for a thread and, the first time, for its sessions; of decoding; and of the work itself. */
  queue: number;
  decoding: number;
  working: number;
}

export type Outcome = JobResult | { thrown: unknown };

export const tensorsOf = (job: Job): JobTensors => (job.kind === 'picture' ? {} : job.tensors);

/** What a worker is told. @param items one for each job that runs together with this one, itself included */
export function workOf(job: Job, items: RunItem[], probe: boolean): WorkMessage['work'] {
  if (job.kind === 'run') return { kind: 'run', segments: job.segments, outputs: job.outputs, items, probe };
  return job.kind === 'decode' ? { kind: 'decode', tensors: job.tensors } : job;
}

/** @param waited milliseconds for a thread */
export function outcome(item: ItemReply | undefined, reply: ThreadReply, waited: number): Outcome {
  if (!item || 'cancelled' in item) return { thrown: abortError() };
  if ('error' in item) return { thrown: IsthmusError.fromJSON(item.error) };
  const { loading, decoding, working } = reply;
  return { outputs: item.outputs, queue: waited + loading, decoding, working };
}
