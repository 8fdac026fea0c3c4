// Fixed tokens that an operator hands out, each with the name of its holder. Only their sha-256 is kept, and every one is
// compared, so that the time of an answer says nothing about a token.
import { createHash, timingSafeEqual } from 'node:crypto';
import { IsthmusError } from '../../errors.ts';
import { type Subject, subjectOf } from './gate.ts';

/** One token. Exactly one of `token` and `sha256` (hex, of the token's UTF-8) is there. */
export interface TokenEntry {
  subject: string;
  token?: string | undefined;
  sha256?: string | undefined;
  /** Names of the models it is for; absent for all. */
  models?: readonly string[] | undefined;
}

/** Shorter ones can be guessed. */
const SHORTEST_TOKEN = 16;

interface KnownToken {
  digest: Buffer;
  subject: Subject;
}

export interface BearerTokens {
  /** Undefined when there is none like it. */
  find(token: string): KnownToken | undefined;
  readonly all: readonly KnownToken[];
}

/** @throws IsthmusError OPTION_INVALID for an entry that could not work, or two that are the same */
export function bearerTokens(entries: readonly TokenEntry[]): BearerTokens {
  const known = entries.map((entry) => ({
    digest: digestOf(entry),
    subject: subjectOf(entry.subject, entry.models),
  }));
  const hex = known.map(({ digest }) => digest.toString('hex'));
  const twice = entries.find((_, i) => hex.indexOf(hex[i]!) !== i);
  if (twice) throw invalid(twice, 'has the token of another subject. Give each a token of its own');
  return {
    all: known,
    find(token) {
      const digest = sha256(token);
      let found: KnownToken | undefined;
      for (const entry of known) if (timingSafeEqual(entry.digest, digest)) found = entry;
      return found;
    },
  };
}

function digestOf(entry: TokenEntry): Buffer {
  const { token, sha256: hex } = entry;
  if ((token === undefined) === (hex === undefined))
    throw invalid(entry, 'needs `token` or `sha256`, not both');
  if (hex !== undefined) {
    if (!/^[0-9a-f]{64}$/i.test(hex))
      throw invalid(entry, 'has a `sha256` that is not 64 hexadecimal digits');
    return Buffer.from(hex, 'hex');
  }
  // What RFC 6750 calls b68token, so that it can stand in a header as it is.
  if (!/^[\w.~+/-]+=*$/.test(token!) || token!.length < SHORTEST_TOKEN) {
    throw invalid(entry, `needs a token of at least ${SHORTEST_TOKEN} letters, digits or -._~+/`);
  }
  return sha256(token!);
}

const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

function invalid({ subject }: TokenEntry, reason: string): IsthmusError {
  return new IsthmusError('OPTION_INVALID', `The token of '${subject}' ${reason}.`);
}
