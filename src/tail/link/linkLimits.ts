// What one link may cost: requests, bytes and time. Shared by the transports and the link itself; nothing is enforced here.
import { MESSAGE_HEADER_BYTES } from '../../wire/message.ts';

export interface LinkLimits {
  /** Requests under way at once; more are answered OVERLOADED. */
  inFlight: number;
  /** For the first message, milliseconds. */
  helloMs: number;
  /** From the first byte of a message to its last, milliseconds. */
  messageMs: number;
  /** A link on which nothing happens for so long is closed; the client opens another when it needs one. */
  idleMs: number;
  /** Replies that the client has not read, bytes; then it is cut off. */
  bufferedBytes: number;
  /** The same when it has read nothing for so long. */
  stalledMs: number;
}

export const LINK_LIMITS: LinkLimits = {
  inFlight: 64,
  helloMs: 5000,
  messageMs: 60_000,
  idleMs: 300_000,
  bufferedBytes: 32 * 1024 * 1024,
  stalledMs: 60_000,
};

/** Bytes of the largest message a tail takes. */
export function largestMessage({ limits }: { limits: { frameBytes: number } }): number {
  return limits.frameBytes + MESSAGE_HEADER_BYTES;
}
