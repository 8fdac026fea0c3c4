// From settings to the rules of the gate. Read at start and again on SIGHUP, when files with tokens and keys may have changed.
import { readFile } from 'node:fs/promises';
import * as v from 'valibot';
import { IsthmusError } from '../../errors.ts';
import type { TokenEntry } from './bearerTokens.ts';
import type { GateOptions } from './createGate.ts';
import { usualHosts } from './hosts.ts';
import type { JwtOptions } from './jwt.ts';
import { type Settings, TOKENS } from './settings.ts';

/** @throws IsthmusError OPTION_INVALID */
export async function gateOptions(settings: Settings): Promise<GateOptions> {
  const { tokens = [], tokensFile, cors, allowedHosts, rate, burst, trustedProxies, ticketSecret } = settings;
  if (burst !== undefined && rate === undefined)
    throw new IsthmusError(
      'OPTION_INVALID',
      'burst needs rate: set how many requests a second there may be.',
    );
  const more = tokensFile === undefined ? [] : await readTokens(tokensFile);
  const [only] = trustedProxies ?? [];
  const isCount = trustedProxies?.length === 1 && /^\d$/.test(only ?? '');
  return {
    tokens: [...tokens, ...more],
    jwt: jwtOptions(settings),
    origins: cors,
    hosts: allowedHosts ?? usualHosts(settings.host),
    rate: rate === undefined ? undefined : { perSecond: rate, burst },
    trustedProxies: isCount ? Number(only) : trustedProxies,
    ticketSecret,
  };
}

/** One setting for JWTs is enough to want them; jwtVerifier names those that are missing. */
function jwtOptions(settings: Settings): JwtOptions | undefined {
  const { jwtKeys, jwtSecret, jwtIssuer, jwtAudience, jwtAlgorithms, jwtClockTolerance, jwtModelsClaim } =
    settings;
  if ([jwtKeys, jwtSecret, jwtIssuer, jwtAudience, jwtModelsClaim].every((value) => value === undefined))
    return undefined;
  return {
    keys: jwtKeys,
    secret: jwtSecret,
    issuer: jwtIssuer ?? '',
    audience: jwtAudience ?? '',
    algorithms: jwtAlgorithms,
    clockTolerance: jwtClockTolerance,
    modelsClaim: jwtModelsClaim,
  };
}

async function readTokens(file: string): Promise<TokenEntry[]> {
  const refuse = (reason: string, cause?: unknown) =>
    new IsthmusError('OPTION_INVALID', `tokensFile '${file}' ${reason}.`, { cause });
  const content = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw refuse('cannot be read', cause);
  });
  let parsed: unknown;
  try {
    parsed = JSON.parse(content);
  } catch {
    throw refuse('is no JSON'); // the parser's words would quote a token
  }
  const checked = v.safeParse(TOKENS, parsed);
  if (!checked.success)
    throw refuse(`entry ${Number(checked.issues[0].path?.[0]?.key ?? 0) + 1} ${checked.issues[0].message}`);
  if (checked.output.length === 0) throw refuse('has no tokens, and an empty list would let everybody in');
  return checked.output;
}
