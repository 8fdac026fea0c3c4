// The gate of a tail on the internet: fixed tokens and JWTs for requests, tickets for links, a list of origins, a rate.
// Its rules can be exchanged while it runs (SIGHUP); it knows nothing of HTTP.
import { IsthmusError } from '../../errors.ts';
import { bearerTokens, type TokenEntry, type TokenLookup } from './bearerTokens.ts';
import { type AddressOf, clientAddress, limitKey, type TrustedProxies } from './clientAddress.ts';
import { type Gate, type Subject, subjectModels, subjectName } from './gate.ts';
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
  lookup: TokenLookup;
  verify: VerifyJwt | undefined;
  origin: OriginCheck;
  count: CountRequest | undefined;
  addressOf: AddressOf;
}

/** Longer ones are no tokens. */
const LONGEST_TOKEN = 8192;

/**
 * @throws IsthmusError OPTION_INVALID naming what cannot work
 * @example const gate = await createGate({ tokens: [{ subject: 'shop', token: process.env.SHOP_TOKEN }], rate: { perSecond: 50 } });
 */
export async function createGate(options: GateOptions = {}): Promise<ReloadableGate> {
  let rules = await rulesOf(options);
  const tickets = createTickets(options.ticketSecret);
  const count = async (subject: Subject, address: string): Promise<void> => {
    // The first letter keeps subjects apart from addresses that they could be called after.
    await rules.count?.(subject ? `s${subjectName(subject)}` : `a${limitKey(address)}`);
  };

  return {
    get closed() {
      return rules.closed;
    },

    async bearer(header, address): Promise<Subject> {
      if (!rules.closed) return '';
      try {
        return await subjectIn(header, rules);
      } catch (thrown) {
        if (address !== undefined) await count('', address);
        throw thrown;
      }
    },

    issue: (subject) => tickets.issue(subject),
    redeem: (ticket) => (rules.closed ? tickets.redeem(ticket) : ''),
    allowsOrigin: (origin, host) => rules.origin(origin, host),

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
      rules = await rulesOf(changed);
    },
  };
}

async function rulesOf({
  tokens = [],
  jwt,
  origins = [],
  rate,
  trustedProxies,
}: GateOptions): Promise<Rules> {
  return {
    closed: tokens.length > 0 || jwt !== undefined,
    lookup: bearerTokens(tokens),
    verify: jwt && (await jwtVerifier(jwt)),
    origin: originCheck(origins),
    count: rate && rateLimit(rate),
    addressOf: clientAddress(trustedProxies),
  };
}

async function subjectIn(header: string | undefined, { lookup, verify }: Rules): Promise<Subject> {
  const token = tokenIn(header);
  const known = lookup(token);
  if (known !== undefined) return known;
  // Three parts with a dot between them: a JWT in the form that RFC 6750 carries.
  if (verify && /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)) return verify(token);
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
