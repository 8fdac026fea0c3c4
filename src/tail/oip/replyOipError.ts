// Errors of the Open Inference Protocol over HTTP: {"error": text} with the statuses that Triton gives, whatever was
// thrown. Frames inside a request have no error frames here; the protocol's own form comes first.
import { IsthmusError } from '../../errors.ts';
import type { TailHandlerContext, TailLogger } from '../context.ts';
import { BytesResponse } from '../http/bytesResponse.ts';
import { replyError } from '../http/errorReply.ts';
import { namedError } from '../infer/errorFrame.ts';

/** What HTTP itself needs for access, size and rate, beside Triton's 404, 500, 501, 503. */
const KEPT: readonly number[] = [401, 403, 404, 405, 413, 429, 500, 501, 503];

/** 400 unless there is something better to say. */
function oipStatus({ code, status }: IsthmusError): number {
  if (code === 'CUT_INVALID') return 404; // a cut is part of a model's name here
  if (code === 'DEADLINE_EXCEEDED') return 503; // Triton's word for a timeout is "unavailable"
  return KEPT.includes(status) ? status : 400;
}

export function replyOipError(
  c: TailHandlerContext,
  thrown: unknown,
  log: TailLogger,
  override: { status?: number; headers?: Record<string, string> } = {},
): Response {
  if (c.req.raw.signal.aborted) return replyError(c, thrown, log);
  const error = thrown instanceof IsthmusError ? thrown : namedError(thrown, c.get('requestId'), log);
  // Headers (Retry-After, WWW-Authenticate, caching) are those of every error of the tail.
  const reply = replyError(c, error, log, { status: oipStatus(error), ...override });
  const body = JSON.stringify({ error: error.message });
  const headers = new Headers(reply.headers);
  headers.delete('content-length');
  return new BytesResponse(body, { status: reply.status, headers });
}
