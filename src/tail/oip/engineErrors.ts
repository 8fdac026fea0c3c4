// Failures of an engine in words of the tail that forwards to it. Whoever asked the tail cannot change the engine's
// configuration, so what the engine refuses is a failure of the service, with the engine's own sentence for its operator.
import { IsthmusError } from '../../errors.ts';

const LONGEST = 500;

export function engineFailed(address: string, text: string, cause?: unknown): IsthmusError {
  return new IsthmusError(
    'INFERENCE_FAILED',
    `The engine behind this tail (${address}) answered: ${text.slice(0, LONGEST)}`,
    { cause },
  );
}

export function engineBusy(address: string, text: string, retryAfter = 1): IsthmusError {
  return new IsthmusError(
    'OVERLOADED',
    `The engine behind this tail (${address}) is not ready: ${text.slice(0, LONGEST)}. Try again in a moment.`,
    { retryAfter },
  );
}

export function engineAway(address: string, cause?: unknown): IsthmusError {
  return new IsthmusError(
    'OFFLINE',
    `The engine behind this tail (${address}) cannot be reached. Try again soon; its operator looks whether it runs.`,
    { cause },
  );
}

export function engineLate(address: string): IsthmusError {
  return new IsthmusError(
    'DEADLINE_EXCEEDED',
    `The engine behind this tail (${address}) did not answer in time. Allow more time, or try again later.`,
  );
}

export function sequenceLost(id: string, cause?: unknown): IsthmusError {
  return new IsthmusError(
    'SEQUENCE_LOST',
    `The engine does not have sequence '${id}' any more. Begin it again from its start.`,
    { cause },
  );
}

/**
 * Whether an engine says that it does not know a sequence. There is no status for it; Triton: "inference request for
 * sequence 7 to model 'm' must specify the START flag on the first request of the sequence".
 */
export function isForgotten(text: string): boolean {
  return /must specify the START flag|unknown sequence|sequence .*(lost|not found)/i.test(text);
}
