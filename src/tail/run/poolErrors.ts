// What the pool of threads answers when it does not run a request. Words only.
import { abortError } from '../../abort.ts';
import { IsthmusError } from '../../errors.ts';

/** @param seconds after which a thread should be free */
export function overloadedError(waiting: number, seconds: number): IsthmusError {
  const wait = seconds <= 1 ? 'a second' : `${Math.ceil(seconds)} seconds`;
  return new IsthmusError(
    'OVERLOADED',
    `${waiting} requests wait already, which is this tail's limit. Try again in ${wait}.`,
    { retryAfter: seconds },
  );
}

export function expiredError(): IsthmusError {
  return new IsthmusError(
    'DEADLINE_EXCEEDED',
    'The deadline passed while the request waited for a free thread. Allow more time or try another tail.',
  );
}

export function closedError(): IsthmusError {
  return new IsthmusError(
    'CLOSED',
    'The tail is stopping. Send the request to another one, or again in a moment.',
  );
}

/** @param reason what the thread threw, if it did */
export function crashedError(reason: unknown, code: number): IsthmusError {
  const missing = (reason as { code?: string } | undefined)?.code === 'ERR_MODULE_NOT_FOUND';
  return new IsthmusError(
    'INFERENCE_FAILED',
    missing
      ? 'The tail cannot run models because onnxruntime-node is not installed; its operator runs `npm install onnxruntime-node`.'
      : `The thread that ran this request died (code ${code}) and is being replaced. Send it again.`,
    { cause: reason },
  );
}

/** Always an Error: the HTTP layer aborts with a string, which error handlers would not recognise. */
export function aborted(signal: AbortSignal | undefined): unknown {
  return signal?.reason instanceof Error ? signal.reason : abortError();
}
