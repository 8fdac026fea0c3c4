// Recovery as a run sees it: while device or worker are being made anew, a run that has another way to its answer takes that way
// instead of waiting. Making anew is the runtime's business (src/worker/spawn.ts), choosing the way runPlans.ts'.
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { HeadRuntime } from '../head/runtime.ts';
import type { Loader } from './loader.ts';

const AWAY: ReadonlySet<ErrorCode> = new Set(['WORKER_FAILED', 'DEVICE_LOST']);

/** Whether what failed is a device or a worker that went away, so that waiting for the next one may help. */
export const isAway = (thrown: unknown) => thrown instanceof IsthmusError && AWAY.has(thrown.code);

/**
 * Does `work` on this device.
 *
 * @param wait whether it waits for a device that is being made anew
 * @param work asks `check` between its steps, which throws once nobody waits for it any more
 * @throws what `work` throws; without `wait` WORKER_FAILED or DEVICE_LOST as soon as the runtime is in trouble
 */
export async function onDevice<T>(
  { recovery }: HeadRuntime,
  wait: boolean,
  work: (check: () => void) => Promise<T>,
): Promise<T> {
  if (!recovery) return work(() => {});
  if (wait) {
    // What was lost on the way is done again, once; the runtime makes worker and device anew for it.
    return work(() => {}).catch((thrown: unknown) => {
      if (isAway(thrown)) return work(() => {});
      throw thrown;
    });
  }
  let given: unknown;
  const check = () => {
    if (given) throw given;
  };
  try {
    return await recovery.unlessTroubled(() => work(check));
  } catch (thrown) {
    given = thrown;
    throw thrown;
  }
}

/** Tells the runtime which model it is about, which an upload needs. One in trouble has been told before. */
export async function introduce(runtime: HeadRuntime, loader: Loader): Promise<void> {
  await onDevice(runtime, false, () => loader.upTo(-1)).catch((thrown: unknown) => {
    if (!runtime.recovery?.trouble) throw thrown;
  });
}
