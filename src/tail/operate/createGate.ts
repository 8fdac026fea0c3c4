// The gate of a tail on the internet: fixed tokens and JWTs for requests, tickets for links, a list of origins, a rate.
// Its rules can be exchanged while it runs (SIGHUP); it knows nothing of HTTP.
import { createHmac, randomBytes } from 'node:crypto';
import { IsthmusError } from '../../errors.ts';
import { type BearerTokens, bearerTokens, type TokenEntry } from './bearerTokens.ts';
import { type AddressOf, clientAddress, limitKey, type TrustedProxies } from './clientAddress.ts';
import { type Gate, type Permit, type Subject, subjectModels, subjectName } from './gate.ts';
import { type HostCheck, type HostList, hostCheck } from './hosts.ts';
import { type JwtOptions, jwtVerifier, type VerifyJwt } from './jwt.ts';
import { type OriginCheck, type OriginList, originCheck } from './origins.ts';
import { type CountRequest, type RateLimit, rateLimit } from './rateLimit.ts';
import { createTickets } from './tickets.ts';

export interface GateOptions {
  /** Fixed tokens. With these or `jwt` the gate is closed: requests need a token. */
  tokens?: readonly TokenEntry[] | undefined;
  jwt?: JwtOptions | undefined;
  /** Pages that may call, besides those of this host. Default: none. */
  origins?: OriginList | undefined;
  /** Names under which the tail answers, besides addresses and names of this machine. Default: all. */
  hosts?: HostList | undefined;
  /** Default: none. */
  rate?: RateLimit | undefined;
  /** Whose X-Forwarded-For is believed. Default: nobody's. */
  trustedProxies?: TrustedProxies | undefined;
  /** Shared by the tails behind one address. Default: made up. It stays when rules are exchanged. */
  ticketSecret?: string | undefined;
}

export interface ReloadableGate extends Gate {
  /** Exchanges the rules; when the new ones cannot work, the old ones stay. @throws IsthmusError OPTION_INVALID */
  reload(options: GateOptions): Promise<void>;
}

interface Rules {
  closed: boolean;
  tokens: BearerTokens;
  /** Subjects by the marks of their tokens. */
  marks: ReadonlyMap<string, Subject>;
  /** Permits by JWT from before this time do not hold: the keys may have changed. */
  since: number;
  verify: VerifyJwt | undefined;
  origin: OriginCheck;
  host: HostCheck;
  count: CountRequest | undefined;
  addressOf: AddressOf;
}

/** Of permits; marks of tokens are longer. */
const BY_JWT = 'jwt';
/**
 * What a ticket says of the fixed token that it was given for: it ends with the token, and lets nobody guess it.
 * The same at all tails with this secret.
 */
export const tokenMark = (secret: string | Uint8Array, digest: Uint8Array): string =>
  createHmac('sha256', secret).update('isthmus token ').update(digest).digest('base64url').slice(0, 16);

/** Longer ones are no tokens. */
const LONGEST_TOKEN = 8192;

/**
 * @throws IsthmusError OPTION_INVALID naming what cannot work
 * @example const gate = await createGate({ tokens: [{ subject: 'shop', token: process.env.SHOP_TOKEN }], rate: { perSecond: 50 } });
 */
export async function createGate(options: GateOptions = {}): Promise<ReloadableGate> {
  const secret = options.ticketSecret ?? randomBytes(32);
  let rules = await rulesOf(options, secret);
  const tickets = createTickets(secret);
  const count = async (subject: Subject, address: string): Promise<void> => {
    // The first letter keeps subjects apart from addresses that they could be called after.
    await rules.count?.(subject ? `s${subjectName(subject)}` : `a${limitKey(address)}`);
  };

  const permit = async (header: string | undefined, address?: string): Promise<Permit> => {
    if (!rules.closed) return { subject: '' };
    try {
      return await permitIn(header, rules, secret);
    } catch (thrown) {
      if (address !== undefined) await count('', address);
      throw thrown;
    }
  };
  const holds = ({ subject, until, by, at = 0 }: Permit): boolean => {
    if (!rules.closed) return true;
    if (until !== undefined && until <= Date.now()) return false;
    if (by === BY_JWT) return rules.verify !== undefined && at >= rules.since;
    return by !== undefined && rules.marks.get(by) === subject;
  };

  return {
    get closed() {
      return rules.closed;
    },

    bearer: async (header, address) => (await permit(header, address)).subject,
    permit,
    holds,
    issue: ({ subject, ...terms }) => tickets.issue(subject, terms),

    redeem(ticket): Permit {
      if (!rules.closed) return { subject: '' };
      const redeemed = tickets.redeem(ticket);
      if (holds(redeemed)) return redeemed;
      throw unauthenticated('The token behind this ticket does not count any more. Get a new one.');
    },

    allowsOrigin: (origin, host) => rules.origin(origin, host),
    allowsHost: (host) => rules.host(host),

    allowsModel(subject, model): void {
      const models = subjectModels(subject);
      if (!models || models.includes(model)) return;
      throw new IsthmusError(
        'FORBIDDEN',
        `This token is not for model '${model}'. It is for: ${models.join(', ')}.`,
      );
    },

    admit: count,
    addressOf: (remote, forwardedFor) => rules.addressOf(remote, forwardedFor),

    async reload(changed): Promise<void> {
      rules = { ...(await rulesOf(changed, secret)), since: Date.now() };
    },
  };
}

async function rulesOf(
  { tokens = [], jwt, origins = [], hosts, rate, trustedProxies }: GateOptions,
  secret: string | Uint8Array,
): Promise<Rules> {
  const known = bearerTokens(tokens);
  return {
    closed: tokens.length > 0 || jwt !== undefined,
    tokens: known,
    marks: new Map(known.all.map(({ digest, subject }) => [tokenMark(secret, digest), subject])),
    since: 0,
    verify: jwt && (await jwtVerifier(jwt)),
    origin: originCheck(origins),
    host: hostCheck(hosts),
    count: rate && rateLimit(rate),
    addressOf: clientAddress(trustedProxies),
  };
}

async function permitIn(
  header: string | undefined,
  { tokens, verify }: Rules,
  secret: string | Uint8Array,
): Promise<Permit> {
  const token = tokenIn(header);
  const at = Date.now(); // before the keys are asked: a reload meanwhile counts
  const known = tokens.find(token);
  if (known) return { subject: known.subject, by: tokenMark(secret, known.digest), at };
  // Three parts with a dot between them: a JWT in the form that RFC 6750 carries.
  if (verify && /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) return { ...(await verify(token)), by: BY_JWT, at };
  throw unauthenticated(
    'The token is not one of this tail. Check that it is whole, and meant for this tail.',
  );
}

/** RFC 6750, 2.1; the scheme in any case, RFC 9110, 11.1. */
function tokenIn(header: string | undefined): string {
  if (!header) throw unauthenticated('This tail needs a token. Send it as `Authorization: Bearer TOKEN`.');
  const token = /^bearer +([\w.~+/-]+=*) *$/i.exec(header)?.[1];
  if (token === undefined || header.length > LONGEST_TOKEN)
    throw unauthenticated('The Authorization header is malformed. Send `Authorization: Bearer TOKEN`.');
  return token;
}

const unauthenticated = (message: string): IsthmusError => new IsthmusError('UNAUTHENTICATED', message);
