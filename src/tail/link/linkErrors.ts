// What a link says when it ends or refuses, and how that counts for the transport below. Nothing is sent here.
import { IsthmusError } from '../../errors.ts';
import type { LinkEnd } from './channel.ts';

export const STOPPING = 'The tail is stopping.';
export const UNREAD = 'The replies are not read.';
export const EXPIRED = 'The token of this link does not count any more.';

export function endOf({ code }: IsthmusError): LinkEnd {
  if (code === 'OVERLOADED' || code === 'CLOSED') return 'overloaded';
  return code === 'UNAUTHENTICATED' || code === 'FORBIDDEN' || code === 'RATE_LIMITED' ? 'refused' : 'broken';
}

/** @param ms what a client has for its hello */
export function late(ms: number): IsthmusError {
  return new IsthmusError('REQUEST_INVALID', `No hello came within ${ms / 1000} seconds.`);
}

/** @param ms what a client has for one message */
export function slow(ms: number): IsthmusError {
  return new IsthmusError(
    'REQUEST_INVALID',
    `A message was not whole within ${ms / 1000} seconds. Send less at once, or over a faster line.`,
  );
}

export function expired(): IsthmusError {
  return new IsthmusError('UNAUTHENTICATED', `${EXPIRED} Open another with a new ticket.`);
}
