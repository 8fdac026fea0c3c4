// Tokens of somebody else's making: JSON Web Tokens (RFC 7519), checked with jose against a key set or a shared secret.
// Which algorithms count is fixed by the kind of key and never by the token, so none can talk its way past the signature.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose';
import { LRUCache } from 'lru-cache';
import { IsthmusError } from '../../errors.ts';
import { type Permit, subjectOf } from './gate.ts';

export interface JwtOptions {
  /** File or https address of a JSON Web Key Set (RFC 7517) with public keys … */
  keys?: string | undefined;
  /** … or a secret of at least 32 bytes that both sides know. Exactly one of the two. */
  secret?: string | undefined;
  /** `iss` and `aud` that a token must have. */
  issuer: string;
  audience: string;
  /** Default: every signature of the kind of key, RS, PS, ES and EdDSA or HS. */
  algorithms?: readonly string[] | undefined;
  /** Seconds that clocks may differ. Default 5. */
  clockTolerance?: number | undefined;
  /** A claim that lists the models the token is for, as an array or with spaces between; without it a token is for none. */
  modelsClaim?: string | undefined;
}

/** @throws IsthmusError UNAUTHENTICATED; OVERLOADED when the keys cannot be had at the moment */
export type VerifyJwt = (token: string) => Promise<Permit & { until: number }>;

const PUBLIC_KEY = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
/**
 * A signature takes a third of a millisecond to check, as long as a small tail. So a token that was good counts as good
 * until it ends, and for so long at most: then its key may have been withdrawn.
 */
const KNOWN_MS = 60_000;
const MOST_KNOWN = 10_000;

const SHARED_KEY = ['HS256', 'HS384', 'HS512'];

/** @throws IsthmusError OPTION_INVALID for options that could not work or would let anybody in */
export async function jwtVerifier(options: JwtOptions): Promise<VerifyJwt> {
  const { issuer, audience, keys, secret, modelsClaim, clockTolerance = 5 } = options;
  if (!issuer || !audience)
    throw invalid('jwtIssuer and jwtAudience are needed, or tokens made for others would pass');
  if ((keys === undefined) === (secret === undefined))
    throw invalid('jwtKeys or jwtSecret is needed, not both');
  const possible = secret === undefined ? PUBLIC_KEY : SHARED_KEY;
  const algorithms = [...(options.algorithms ?? possible)];
  const wrong = algorithms.find((name) => !possible.includes(name));
  if (wrong !== undefined || algorithms.length === 0)
    throw invalid(
      `jwtAlgorithms may have ${possible.join(', ')} with this kind of key, not '${wrong ?? ''}'`,
    );
  const key = secret === undefined ? await keySet(keys!) : sharedKey(secret);
  const rules: JWTVerifyOptions = {
    issuer,
    audience,
    algorithms,
    clockTolerance,
    requiredClaims: ['sub', 'exp', ...(modelsClaim ? [modelsClaim] : [])],
  };
  const known = new LRUCache<string, Permit & { until: number }>({ max: MOST_KNOWN });
  return async (token) => {
    const digest = createHash('sha256').update(token).digest('base64');
    const before = known.get(digest);
    if (before) return before;
    try {
      const { payload } = await (typeof key === 'function'
        ? jwtVerify(token, key, rules)
        : jwtVerify(token, key, rules));
      const verified = {
        subject: subjectOf(nameIn(payload), modelsClaim ? modelsIn(payload[modelsClaim]) : undefined),
        until: (payload.exp! + clockTolerance) * 1000, // as long as a request with it is let in
      };
      const ttl = Math.min(KNOWN_MS, payload.exp! * 1000 - Date.now());
      if (ttl >= 1) known.set(digest, verified, { ttl: Math.floor(ttl) });
      return verified;
    } catch (thrown) {
      throw refusal(thrown);
    }
  };
}

async function keySet(source: string): Promise<JWTVerifyGetKey> {
  if (/^https?:/i.test(source)) return remoteKeys(source);
  try {
    const set = JSON.parse(await readFile(source, 'utf8')) as JSONWebKeySet;
    const keys = createLocalJWKSet(set);
    if (set.keys.length === 0) throw new Error('it has no keys');
    if (set.keys.some(({ kty }) => kty === 'oct'))
      throw new Error('it has a secret key; use jwtSecret for that');
    return keys;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw invalid(`jwtKeys: '${source}' is no usable key set (${reason})`, cause);
  }
}

function remoteKeys(address: string): JWTVerifyGetKey {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const local = ['localhost', '127.0.0.1', '[::1]'].includes(url?.hostname ?? '');
  if (!url || (url.protocol !== 'https:' && !local))
    throw invalid(
      'jwtKeys must be a file or an https address; over http anybody on the way could exchange the keys',
    );
  return createRemoteJWKSet(url, { timeoutDuration: 5000, cooldownDuration: 10_000 });
}

function sharedKey(secret: string): Uint8Array {
  const bytes = new TextEncoder().encode(secret);
  if (bytes.length < 32) throw invalid('jwtSecret must have at least 32 bytes');
  return bytes;
}

function nameIn({ sub }: JWTPayload): string {
  // A line break would read as a list of models.
  if (typeof sub === 'string' && /^[^\p{Cc}]{1,256}$/u.test(sub)) return sub;
  throw unauthenticated('has no usable `sub`');
}

function modelsIn(claim: unknown): string[] {
  const models = typeof claim === 'string' ? claim.split(' ').filter(Boolean) : claim;
  const named = (m: unknown): m is string => typeof m === 'string' && /^[^\p{Cc}]+$/u.test(m);
  if (Array.isArray(models) && models.length > 0 && models.length <= 256 && models.every(named))
    return models;
  throw unauthenticated('names no models');
}

/** In words of ours: which check failed is told, what the token said is not. */
function refusal(thrown: unknown): IsthmusError {
  if (thrown instanceof IsthmusError) return thrown;
  if (thrown instanceof errors.JWTExpired) return unauthenticated('has expired', thrown);
  if (thrown instanceof errors.JWTClaimValidationFailed)
    return unauthenticated(`has no \`${thrown.claim}\` that this tail accepts`, thrown);
  if (thrown instanceof errors.JOSEAlgNotAllowed)
    return unauthenticated('is signed with an algorithm that is not allowed', thrown);
  const bad = [errors.JWSInvalid, errors.JWTInvalid, errors.JOSENotSupported];
  if (bad.some((kind) => thrown instanceof kind)) return unauthenticated('is malformed', thrown);
  const unsigned = [
    errors.JWSSignatureVerificationFailed,
    errors.JWKSNoMatchingKey,
    errors.JWKSMultipleMatchingKeys,
  ];
  if (unsigned.some((kind) => thrown instanceof kind))
    return unauthenticated('is not signed with a key that this tail knows', thrown);
  return new IsthmusError(
    'OVERLOADED',
    'The keys for tokens cannot be had just now. Try again in a few seconds.',
    {
      cause: thrown,
      retryAfter: 5,
    },
  );
}

function unauthenticated(reason: string, cause?: unknown): IsthmusError {
  return new IsthmusError('UNAUTHENTICATED', `The token ${reason}. Get a new one.`, { cause });
}

function invalid(reason: string, cause?: unknown): IsthmusError {
  return new IsthmusError('OPTION_INVALID', `${reason}.`, { cause });
}
