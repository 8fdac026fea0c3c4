// A tail whose gate is closed, for the tests of who gets in: fixed tokens, a key set, one allowed origin, a log that is kept.
// Every token and ticket made here is remembered, to be looked for where none may be.
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, type JWTPayload, SignJWT } from 'jose';
import { pino } from 'pino';
import type { Manifest } from '../model/manifest.ts';
import { createTailServer, type TailServer } from './index.ts';
import { createGate, tokenMark } from './operate/createGate.ts';
import { createTickets } from './operate/tickets.ts';
import { testModels } from './testModels.fixture.ts';

export const ISSUER = 'https://login.example';
export const AUDIENCE = 'tail';
/** Of `shop`, for all models; and of `lab`, for `tiny` only. */
export const FIXED = 'fixed-token-of-the-shop-0123456789';
export const TINY_ONLY = 'fixed-token-of-the-lab-0123456789';
/** The one origin on the list. */
export const PAGE = 'https://app.example';
const TICKET_SECRET = 'ticket-secret-ticket-secret-ticket';

const keyPair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
export const ours = keyPair();
export const theirs = keyPair();

/** Everything that must stay out of logs and answers. */
export const secrets = new Set([FIXED, TINY_ONLY, TICKET_SECRET]);

/** Seconds from now. */
export const inSeconds = (seconds: number): number => Math.floor(Date.now() / 1000) + seconds;

/** A JWT that would be taken, with something changed. */
export async function sign(
  claims: JWTPayload | Record<string, undefined> = {},
  key = ours.privateKey,
  kid = '1',
): Promise<string> {
  const valid = { sub: 'al', iss: ISSUER, aud: AUDIENCE, exp: inSeconds(60), nbf: inSeconds(-5) };
  const token = await new SignJWT({ ...valid, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid })
    .sign(key);
  secrets.add(token);
  return token;
}

/** A ticket of the guarded tail, made beside it with the secret that they share. */
export function newTicket(subject = 'shop', now = Date.now): string {
  const token = subject.startsWith('lab') ? TINY_ONLY : FIXED;
  const by = tokenMark(TICKET_SECRET, createHash('sha256').update(token).digest());
  const { ticket } = createTickets(TICKET_SECRET, now).issue(subject, { by });
  secrets.add(ticket);
  return ticket;
}

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

export interface Guarded {
  tail: TailServer;
  tiny: Manifest;
  slow: Manifest;
  /** Lines of its log, of every level. */
  lines: string[];
}

export async function startGuarded(): Promise<Guarded> {
  const { dir, tiny, slow } = await testModels();
  const keys = join(await mkdtemp(join(tmpdir(), 'isthmus-keys-')), 'jwks.json');
  const jwk = { ...(await exportJWK(ours.publicKey)), kid: '1', use: 'sig' };
  await writeFile(keys, JSON.stringify({ keys: [jwk] }));
  const gate = await createGate({
    tokens: [
      { subject: 'shop', token: FIXED },
      { subject: 'lab', token: TINY_ONLY, models: ['tiny'] },
    ],
    jwt: { keys, issuer: ISSUER, audience: AUDIENCE },
    origins: [PAGE],
    ticketSecret: TICKET_SECRET,
  });
  const lines: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) });
  const tail = await createTailServer({ models: dir, port: 0, threads: 1, gate, cors: [PAGE], logger });
  return { tail, tiny, slow, lines };
}

/** Tokens, tickets, and pieces of them (who a JWT is about), that stand in a log. */
export function leaked(lines: readonly string[]): string[] {
  const log = lines.join('');
  const pieces = [...secrets].flatMap((secret) => [secret, ...secret.split('.')]);
  return [...pieces.filter((piece) => piece.length > 16), 'eyJ'].filter((piece) => log.includes(piece));
}
