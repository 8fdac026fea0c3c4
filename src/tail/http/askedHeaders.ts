// What a plain HTTP request says about itself beside its body: until when its answer is wanted, and how urgently.
import { IsthmusError } from '../../errors.ts';
import type { TailHandlerContext } from '../context.ts';
import type { Asked } from '../infer/service.ts';

/** A day; nobody waits longer, and a larger number is a time of day by mistake. */
const LONGEST_MS = 86_400_000;

/**
 * `isthmus-deadline: 300` (whole milliseconds from arrival) and `priority: u=1` (RFC 9218).
 * @throws IsthmusError REQUEST_INVALID for a deadline that is no number; a malformed priority is ignored, as the RFC wants
 */
export function askedHeaders(c: TailHandlerContext): Asked {
  const asked: Asked = {
    id: c.get('requestId'),
    signal: c.req.raw.signal,
    subject: c.get('subject') ?? '',
  };
  const deadline = c.req.header('isthmus-deadline');
  if (deadline !== undefined) {
    const ms = /^\d{1,8}$/.test(deadline) ? Number(deadline) : 0;
    if (ms < 1 || ms > LONGEST_MS) {
      throw new IsthmusError(
        'REQUEST_INVALID',
        `The header isthmus-deadline must be whole milliseconds from 1 to ${LONGEST_MS}.`,
      );
    }
    asked.deadline = Date.now() + ms;
  }
  const urgency = urgencyIn(c.req.header('priority'));
  if (urgency !== undefined) asked.urgency = urgency;
  return asked;
}

/** The last `u` of the dictionary counts (RFC 8941, 3.2). */
function urgencyIn(header: string | undefined): number | undefined {
  const members = (header ?? '').split(',').map((member) => /^\s*u=([0-7])\s*$/.exec(member)?.[1]);
  const last = members.findLast((member) => member !== undefined);
  return last === undefined ? undefined : Number(last);
}
