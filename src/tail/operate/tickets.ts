// Tickets: browsers cannot set headers on WebSocket and WebTransport, and a token in an address ends up in logs. So a page
// trades its token for a ticket that opens one link, within seconds. A ticket carries its subject under a signature.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { IsthmusError } from '../../errors.ts';
import type { Permit, Subject } from './gate.ts';

export interface Tickets {
  /** @param terms of the token that it is given for: they hold for the link too */
  issue(subject: Subject, terms?: Terms): { ticket: string; expiresInMs: number };
  /** @throws IsthmusError UNAUTHENTICATED; OVERLOADED when more are used than can be remembered */
  redeem(ticket: string | undefined): Permit;
}

type Terms = Pick<Permit, 'until' | 'by'>;

/** Long enough for a handshake over a bad line. */
const LIFE_MS = 30_000;
/** Tickets used within their life that are remembered: some megabytes. */
const MOST_USED = 50_000;
const LONGEST = 4096;
const NONCE_BYTES = 16;

/**
 * @param secret shared by the tails behind one address, so that each knows the tickets of the others; made up when absent.
 *   A ticket works once per process: what one has used up, another cannot know.
 * @param now milliseconds since the epoch, for tests
 */
export function createTickets(secret: string | Uint8Array = randomBytes(32), now = Date.now): Tickets {
  /** Nonces by the time they may be forgotten; in the order of use, which is nearly that of expiry. */
  const used = new Map<string, number>();
  const sign = (payload: string) => createHmac('sha256', secret).update(`isthmus ticket ${payload}`).digest();

  function forget(): void {
    for (const [nonce, until] of used) if (until < now()) used.delete(nonce);
  }

  return {
    issue(subject, { until, by } = {}) {
      const nonce = randomBytes(NONCE_BYTES).toString('base64url');
      const payload = Buffer.from(JSON.stringify([subject, now() + LIFE_MS, nonce, { until, by }])).toString(
        'base64url',
      );
      return { ticket: `${payload}.${sign(payload).toString('base64url')}`, expiresInMs: LIFE_MS };
    },

    redeem(ticket) {
      if (typeof ticket !== 'string' || ticket.length > LONGEST) throw refused('is missing or malformed');
      const [payload, signature, ...rest] = ticket.split('.');
      const given = Buffer.from(signature ?? '', 'base64url');
      const wanted = sign(payload!);
      if (rest.length > 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted))
        throw refused('is not one of this tail');
      // It has our signature, so it is what issue() wrote.
      const [subject, expires, nonce, terms] = JSON.parse(Buffer.from(payload!, 'base64url').toString()) as [
        Subject,
        number,
        string,
        Terms,
      ];
      if (expires <= now()) throw refused('has expired');
      if (used.has(nonce)) throw refused('was used before');
      if (used.size >= MOST_USED) forget();
      if (used.size >= MOST_USED) {
        throw new IsthmusError('OVERLOADED', 'Too many links are being opened. Try again in a few seconds.', {
          retryAfter: 5,
        });
      }
      used.set(nonce, expires);
      return { subject, ...terms, at: expires - LIFE_MS };
    },
  };
}

function refused(reason: string): IsthmusError {
  return new IsthmusError('UNAUTHENTICATED', `The ticket ${reason}. Get a new one from POST /tickets.`);
}
