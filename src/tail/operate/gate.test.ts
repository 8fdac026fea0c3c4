// The parts of the gate by themselves: rates, tickets, origins, options that would let anybody in. What requests and links
// get to see is in ../access.test.ts.
import { generateKeyPairSync } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, SignJWT } from 'jose';
import { expect, test } from 'vitest';
import { createGate, type GateOptions } from './createGate.ts';
import { subjectModels, subjectName, subjectOf } from './gate.ts';
import { originCheck } from './origins.ts';
import { rateLimit } from './rateLimit.ts';
import { createTickets } from './tickets.ts';

const code = (value: string) => expect.objectContaining({ code: value });

test('a subject carries its models', () => {
  expect([subjectName('al'), subjectModels('al')]).toEqual(['al', undefined]);
  const bound = subjectOf('al', ['a', 'b']);
  expect([subjectName(bound), subjectModels(bound)]).toEqual(['al', ['a', 'b']]);
  expect(subjectModels(subjectOf('al', []))).toEqual([]);
});

test('as many requests as the burst, then as many as the rate; others are not touched', async () => {
  const count = rateLimit({ perSecond: 20, burst: 4 });
  for (let i = 0; i < 4; i++) await count('al');
  const refused = await count('al').catch((error) => error);
  expect(refused).toMatchObject({ code: 'RATE_LIMITED', status: 429 });
  expect(refused.retryAfter).toBeGreaterThan(0);
  expect(refused.retryAfter).toBeLessThanOrEqual(0.2);
  await count('bo');
  await new Promise((resolve) => setTimeout(resolve, refused.retryAfter * 1000 + 20));
  await count('al');
});

test('a rate is kept per subject where there is one, else per address, and neither for the other', async () => {
  const gate = await createGate({ rate: { perSecond: 0.01, burst: 1 } });
  await gate.admit('1.2.3.4', '1.1.1.1');
  await gate.admit('', '1.2.3.4');
  await expect(gate.admit('1.2.3.4', '2.2.2.2')).rejects.toEqual(code('RATE_LIMITED'));
  await expect(gate.admit(subjectOf('1.2.3.4', ['a']), '2.2.2.2')).rejects.toEqual(code('RATE_LIMITED'));
  await expect(gate.admit('', '1.2.3.4')).rejects.toEqual(code('RATE_LIMITED'));
});

test('a ticket opens one link, for its subject, within thirty seconds, at tails that share its secret', () => {
  let now = 1_000_000;
  const secret = 's'.repeat(32);
  const tickets = createTickets(secret, () => now);
  const others = [createTickets(secret, () => now), createTickets('t'.repeat(32), () => now)] as const;
  const { ticket, expiresInMs } = tickets.issue('al\na');
  expect(expiresInMs).toBe(30_000);
  expect(tickets.redeem(ticket)).toMatchObject({ subject: 'al\na' });
  expect(() => tickets.redeem(ticket)).toThrow(/used before/);
  expect(others[0].redeem(ticket).subject).toBe('al\na');
  expect(() => others[1].redeem(ticket)).toThrow(/not one of this tail/);
  const late = tickets.issue('al').ticket;
  now += 30_000;
  expect(() => tickets.redeem(late)).toThrow(/expired/);
});

test('no ticket that was changed anywhere is taken', () => {
  const tickets = createTickets();
  const { ticket } = tickets.issue('al');
  for (let i = 0; i < ticket.length; i++) {
    const other = ticket[i] === 'A' ? 'E' : 'A'; // E differs from A in a bit that base64url keeps at the end too
    const changed = ticket.slice(0, i) + other + ticket.slice(i + 1);
    const same = Buffer.from(changed.split('.')[1] ?? '', 'base64url').equals(
      Buffer.from(ticket.split('.')[1]!, 'base64url'),
    );
    if (same && changed.split('.')[0] === ticket.split('.')[0]) continue; // spare bits of the last letter
    expect(() => tickets.redeem(changed)).toThrow(code('UNAUTHENTICATED'));
    expect(() => tickets.redeem(ticket.slice(0, i))).toThrow(code('UNAUTHENTICATED'));
  }
  for (const wrong of [undefined, '', '.', '..', `${ticket}.`, `${ticket}.${ticket}`, 'x'.repeat(5000)])
    expect(() => tickets.redeem(wrong)).toThrow(code('UNAUTHENTICATED'));
  expect(tickets.redeem(ticket).subject).toBe('al');
});

test('origins: the list, the host itself, programs; nothing that only looks like them', () => {
  const allows = originCheck(['https://app.example', 'HTTP://Dev.example:5173/']);
  const host = 'tail.example:8787';
  const good = [
    'https://app.example',
    'http://dev.example:5173',
    undefined,
    null,
    'https://tail.example:8787',
  ];
  expect(good.map((origin) => allows(origin, host))).toEqual(good.map(() => true));
  const bad = [
    'null',
    '',
    'http://app.example',
    'https://app.example:444',
    'https://app.example.evil.example',
    'https://evil.example/https://app.example',
    'https://tail.example',
    'https://tail.example:8787@evil.example',
    'https://evil.example?tail.example:8787',
    'ftp://tail.example:8787',
    '*',
  ];
  expect(bad.filter((origin) => allows(origin, host))).toEqual([]);
  // Names of this machine are one host, at the same port.
  const own = ['http://localhost:8787', 'https://[::1]:8787', 'http://127.0.0.1:8787'];
  expect(own.map((origin) => allows(origin, '127.0.0.1:8787'))).toEqual([true, true, true]);
  const others = ['http://localhost:8788', 'http://localhost', 'http://localhost.evil.example:8787'];
  expect(others.filter((origin) => allows(origin, '127.0.0.1:8787'))).toEqual([]);
  expect(originCheck('*')('null')).toBe(true);
  for (const wrong of ['app.example', 'https://app.example/path', 'https://u@app.example', 'null'])
    expect(() => originCheck([wrong])).toThrow(code('OPTION_INVALID'));
});

const jwt = { issuer: 'i', audience: 'a', secret: 'k'.repeat(32) };
test.each<[string, GateOptions]>([
  ['a short token', { tokens: [{ subject: 'al', token: 'short' }] }],
  ['a token that no header carries', { tokens: [{ subject: 'al', token: 'white space in a token' }] }],
  ['neither token nor hash', { tokens: [{ subject: 'al' }] }],
  ['a hash that is none', { tokens: [{ subject: 'al', sha256: 'abc' }] }],
  ['one token for two', { tokens: ['al', 'bo'].map((subject) => ({ subject, token: 'x'.repeat(20) })) }],
  ['JWT without issuer', { jwt: { ...jwt, issuer: '' } }],
  ['JWT without audience', { jwt: { ...jwt, audience: '' } }],
  ['JWT without key', { jwt: { issuer: 'i', audience: 'a' } }],
  ['a short secret', { jwt: { ...jwt, secret: 'short' } }],
  ['both kinds of key', { jwt: { ...jwt, keys: 'x.json' } }],
  ['an algorithm of the other kind', { jwt: { ...jwt, algorithms: ['RS256'] } }],
  ['the algorithm none', { jwt: { ...jwt, algorithms: ['none'] } }],
  ['no algorithm', { jwt: { ...jwt, algorithms: [] } }],
  ['keys over http', { jwt: { issuer: 'i', audience: 'a', keys: 'http://login.example/jwks' } }],
  ['a file that is absent', { jwt: { issuer: 'i', audience: 'a', keys: 'absent.json' } }],
])('options that would let the wrong ones in are refused: %s', async (_, options) => {
  await expect(createGate(options)).rejects.toEqual(code('OPTION_INVALID'));
});

test('rules that cannot work leave the old ones in force', async () => {
  const gate = await createGate({ tokens: [{ subject: 'al', token: 'x'.repeat(20) }] });
  await expect(gate.reload({ tokens: [{ subject: 'al', token: '' }] })).rejects.toEqual(
    code('OPTION_INVALID'),
  );
  expect(await gate.bearer(`Bearer ${'x'.repeat(20)}`)).toBe('al');
  await gate.reload({ tokens: [{ subject: 'bo', token: 'y'.repeat(20) }] });
  expect(await gate.bearer(`bearer ${'y'.repeat(20)}`)).toBe('bo');
  await expect(gate.bearer(`Bearer ${'x'.repeat(20)}`)).rejects.toEqual(code('UNAUTHENTICATED'));
});

test('keys from an address: fetched, and a tail that cannot have them says so and blames no token', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = { ...(await exportJWK(publicKey)), kid: '1', alg: 'ES256' };
  let fetched = 0;
  const server = createServer((_, response) => {
    fetched++;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [jwk] }));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const keys = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  const token = await new SignJWT()
    .setProtectedHeader({ alg: 'ES256', kid: '1' })
    .setSubject('al')
    .setIssuer('i')
    .setAudience('a')
    .setExpirationTime('1m')
    .sign(privateKey);
  const gate = await createGate({ jwt: { keys, issuer: 'i', audience: 'a' } });
  expect(await gate.bearer(`Bearer ${token}`)).toBe('al');
  expect(await gate.bearer(`Bearer ${token}`)).toBe('al');
  expect(fetched).toBe(1);
  await new Promise((resolve) => server.close(resolve));
  const deaf = await createGate({ jwt: { keys, issuer: 'i', audience: 'a' } });
  await expect(deaf.bearer(`Bearer ${token}`)).rejects.toEqual(code('OVERLOADED'));
});

test('a JWT that was good is refused once it has ended, and once its key is withdrawn', async () => {
  const options = { issuer: 'i', audience: 'a', secret: 'k'.repeat(32), clockTolerance: 0 };
  const sign = (seconds: number) =>
    new SignJWT()
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('al')
      .setIssuer('i')
      .setAudience('a')
      .setExpirationTime(Math.floor(Date.now() / 1000) + seconds)
      .sign(new TextEncoder().encode(options.secret));
  const gate = await createGate({ jwt: options });
  const [short, long] = [`Bearer ${await sign(2)}`, `Bearer ${await sign(600)}`];
  for (let i = 0; i < 2; i++)
    expect([await gate.bearer(short), await gate.bearer(long)]).toEqual(['al', 'al']);
  await new Promise((resolve) => setTimeout(resolve, 2100));
  await expect(gate.bearer(short)).rejects.toThrow(/expired/);
  expect(await gate.bearer(long)).toBe('al');
  await gate.reload({ jwt: { ...options, secret: 'l'.repeat(32) } });
  await expect(gate.bearer(long)).rejects.toEqual(code('UNAUTHENTICATED'));
});
