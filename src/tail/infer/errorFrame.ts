// Failures on their way to a client, whatever it speaks: what was thrown becomes an error with a code, and that an error
// frame. HTTP statuses and headers are http/errorReply.ts; no stack ever leaves the server.
import { IsthmusError } from '../../errors.ts';
import { type FrameMeta, INPUT_CUT } from '../../wire/layout.ts';
import { writeFrame } from '../../wire/writeFrame.ts';
import type { TailLogger } from '../context.ts';

/** A message that lists a thousand names would not fit into a frame's header, not even escaped. */
const LONGEST_MESSAGE = 8000;

/** The tag on an error frame when the model is not known. */
export const NO_TAG = '0'.repeat(16);

/** FORMAT.md, "Frame": no tensors, and a meta of code and message; `retryAfter` in seconds where it is known. */
export function errorFrame(
  error: IsthmusError,
  modelTag = NO_TAG,
  cut = INPUT_CUT,
  meta: FrameMeta = {},
): Uint8Array<ArrayBuffer> {
  const { code, retryAfter } = error;
  const message = error.message.slice(0, LONGEST_MESSAGE);
  const wrong = { code, message, ...(retryAfter !== undefined && { retryAfter }) };
  return writeFrame({ kind: 'error', modelTag, cut, meta: { ...meta, error: wrong }, tensors: [] });
}

/** Anything that is not ours is a defect of ours: it goes to the log with the request id, which the client learns. */
export function namedError(thrown: unknown, requestId: string, log: TailLogger): IsthmusError {
  if (thrown instanceof IsthmusError) {
    if (thrown.status === 500) log.error({ requestId, err: thrown }, thrown.message);
    return thrown;
  }
  log.error({ requestId, err: thrown }, 'unexpected error');
  return new IsthmusError(
    'INTERNAL',
    `The tail met a defect of its own; report it with the request id ${requestId}.`,
  );
}
