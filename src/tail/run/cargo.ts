// What moves to a worker thread with its work: buffers without a copy where that is safe, and codec profiles it has not
// been given yet. It neither queues nor decides.
import { isMarkedAsUntransferable } from 'node:worker_threads';
import { TENSOR_FLAGS } from '../../codec/params.ts';
import type { CodecProfile } from '../../codec/profile.ts';
import type { JobTensors, WorkMessage } from './threadMessages.ts';

/** A worker forgets all profiles when it knows this many: reloads bring new ones, and nothing tells which are gone. */
const KNOWN_PROFILES = 64;

/** Several tensors may be views of one request body; it moves once, and the views move with it. */
export function movable(work: WorkMessage['work']): ArrayBuffer[] {
  const views =
    work.kind === 'picture'
      ? [work.file]
      : (work.kind === 'run' ? work.items.map((item) => item.tensors) : [work.tensors])
          .flatMap((tensors) => Object.values(tensors))
          .flatMap((t) => ('family' in t ? [t.params, t.payload] : [t.data]));
  const buffers = new Set(views.map((view) => view.buffer));
  return [...buffers].filter(
    (b): b is ArrayBuffer => b instanceof ArrayBuffer && b.byteLength > 0 && !isMarkedAsUntransferable(b),
  );
}

/** Keeps account of the profiles that one worker has been given. */
export class ProfileAccount {
  #given = new Set<string>();

  /** @returns what goes with the next work: profiles that its tensors name, that are known, and that are new to the worker */
  next(
    tensors: readonly JobTensors[],
    known: ReadonlyMap<string, CodecProfile> | undefined,
  ): Pick<WorkMessage, 'profiles' | 'forget'> {
    const named = new Set(tensors.flatMap((t) => Object.values(t)).flatMap(profileNames));
    const forget = this.#given.size + named.size > KNOWN_PROFILES;
    if (forget) this.#given = new Set();
    const profiles = [...named].flatMap((name) => {
      const profile = this.#given.has(name) ? undefined : known?.get(name);
      return profile ? [profile] : [];
    });
    for (const { name } of profiles) this.#given.add(name);
    return { profiles, forget };
  }
}

/** FORMAT.md, "Family isthmus": bit 0 of the params, then bytes 8…15. */
function profileNames(tensor: JobTensors[string]): string[] {
  if (!('family' in tensor) || tensor.family !== 'isthmus') return [];
  const { params, flags } = tensor;
  if (flags & TENSOR_FLAGS.CONST || params.length < 16 || !(params[0]! & 1)) return [];
  return [Array.from(params.subarray(8, 16), (b) => b.toString(16).padStart(2, '0')).join('')];
}
