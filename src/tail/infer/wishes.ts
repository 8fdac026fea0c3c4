// What a request's meta asks for beyond one answer of the model itself: tasks, keeping the feature, a feature that is kept. Read
// and checked here, acted on in service.ts.
import { IsthmusError } from '../../errors.ts';
import { MAIN_TASK } from '../../model/manifest.ts';
import type { Frame } from '../../wire/layout.ts';

export interface Wishes {
  /** Which tasks, `main` when the request names none. */
  tasks: readonly string[];
  /** Whether it named them: replies then say which one they answer. */
  named: boolean;
  keep: boolean;
  featureId: string | undefined;
}

/** As many as a manifest may have, `main` included. */
const MAX_TASKS = 32;

/** @throws IsthmusError FRAME_INVALID */
export function wishesOf({ meta, tensors }: Frame): Wishes {
  const { tasks, keep = false, featureId } = meta;
  if (tasks !== undefined && !isTaskList(tasks))
    throw invalid(`meta.tasks must be a list of 1 to ${MAX_TASKS} different names`);
  if (typeof keep !== 'boolean') throw invalid('meta.keep must be true or false');
  if (featureId !== undefined && !(typeof featureId === 'string' && /^[\w-]{22}$/.test(featureId)))
    throw invalid('meta.featureId must be a name that an earlier reply gave');
  if (featureId !== undefined && tensors.length > 0)
    throw invalid('a frame with meta.featureId brings no tensors');
  return { tasks: tasks ?? [MAIN_TASK], named: tasks !== undefined, keep, featureId };
}

function isTaskList(value: unknown): value is string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_TASKS) return false;
  return value.every((name) => typeof name === 'string') && new Set(value).size === value.length;
}

const invalid = (reason: string) =>
  new IsthmusError('FRAME_INVALID', `The request cannot be read: ${reason}.`);
