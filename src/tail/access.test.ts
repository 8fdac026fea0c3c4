// Who gets in over HTTP: every wrong token and origin is refused by a real tail over real sockets, the right ones are not,
// and none of them shows up in a log line or in an answer. Links: link/access.test.ts.
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { exportJWK, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../model/manifest.ts';
import { FRAME_TYPE } from '../wire/layout.ts';
import { readFrame } from '../wire/readFrame.ts';
import {
  AUDIENCE,
  bearer,
  FIXED,
  ISSUER,
  inSeconds,
  leaked,
  newTicket,
  ours,
  PAGE,
  secrets,
  sign,
  startGuarded,
  TINY_ONLY,
  theirs,
} from './access.fixture.ts';
import type { TailServer } from './index.ts';
import { tinyFrame } from './testModels.fixture.ts';

let tail: TailServer;
let tiny: Manifest;
let slow: Manifest;
let lines: string[];
let jwt: string;
beforeAll(async () => {
  ({ tail, tiny, slow, lines } = await startGuarded());
  jwt = await sign();
});
afterAll(() => tail.close());

type Headers = Record<string, string>;

/** Status and code of an answer. Whatever it says, it repeats no secret. */
async function ask(path: string, headers: Headers, init: RequestInit = {}): Promise<[number, string]> {
  const response = await fetch(`${tail.url}${path}`, { ...init, headers });
  const bytes = new Uint8Array(await response.arrayBuffer());
  const text = Buffer.from(bytes).toString('latin1') + JSON.stringify([...response.headers]);
  for (const secret of secrets) expect(text).not.toContain(secret);
  const isFrame = response.headers.get('content-type') === FRAME_TYPE;
  const code = isFrame ? readFrame(bytes).meta.error?.code : /"code":"([A-Z_]+)"/.exec(text)?.[1];
  return [response.status, code ?? 'ok'];
}

const infer = (headers: Headers, query = '') =>
  ask(
    `/models/tiny/infer${query}`,
    { 'content-type': FRAME_TYPE, ...headers },
    { method: 'POST', body: tinyFrame(tiny) },
  );
const json64 = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
const parts = (token: string) => token.split('.') as [string, string, string];

async function unsigned(header: object): Promise<string> {
  return `${json64(header)}.${parts(await sign())[1]}.`;
}
/** Signed with the public key as if it were a shared secret: what a verifier that trusts `alg` would accept. */
async function confused(): Promise<string> {
  const pem = createPublicKey(createPrivateKey(ours.privateKey.export({ type: 'pkcs8', format: 'pem' })));
  const secret = Buffer.from(pem.export({ type: 'spki', format: 'pem' }));
  return new SignJWT({ sub: 'al', iss: ISSUER, aud: AUDIENCE, exp: inSeconds(60) })
    .setProtectedHeader({ alg: 'HS256', kid: '1' })
    .sign(secret);
}

const NO_TOKEN: [number, string] = [401, 'UNAUTHENTICATED'];
const NOT_ALLOWED: [number, string] = [403, 'FORBIDDEN'];
type Attempt = () => Promise<Headers> | Headers;

const WRONG_TOKENS: [string, Attempt][] = [
  ['nothing', () => ({})],
  ['an empty header', () => ({ authorization: '' })],
  ['another scheme', () => ({ authorization: `Basic ${Buffer.from(`shop:${FIXED}`).toString('base64')}` })],
  ['a scheme without a token', () => ({ authorization: 'Bearer' })],
  ['a token without a scheme', () => ({ authorization: FIXED })],
  ['two tokens', () => ({ authorization: `Bearer ${FIXED}, Bearer ${FIXED}` })],
  ['a token nobody has', () => bearer('x'.repeat(34))],
  ['a truncated token', () => bearer(FIXED.slice(0, -1))],
  ['a token with more behind it', () => bearer(`${FIXED}0`)],
  ['a token in another case', () => bearer(FIXED.toUpperCase())],
  ['a very long token', () => bearer('x'.repeat(9000))],
  ['the token in a cookie', () => ({ cookie: `authorization=${FIXED}` })],
  ['a ticket', () => bearer(newTicket())],
  ['JWT: expired', async () => bearer(await sign({ exp: inSeconds(-60), nbf: inSeconds(-90) }))],
  ['JWT: not yet valid', async () => bearer(await sign({ exp: inSeconds(120), nbf: inSeconds(60) }))],
  ['JWT: another issuer', async () => bearer(await sign({ iss: 'https://evil.example' }))],
  ['JWT: another audience', async () => bearer(await sign({ aud: 'other' }))],
  ['JWT: without an end', async () => bearer(await sign({ exp: undefined }))],
  ['JWT: without a subject', async () => bearer(await sign({ sub: undefined }))],
  ['JWT: a subject that would read as models', async () => bearer(await sign({ sub: 'al\ntiny' }))],
  ['JWT: alg none', async () => bearer(await unsigned({ alg: 'none' }))],
  ['JWT: alg nOnE', async () => bearer(await unsigned({ alg: 'nOnE', kid: '1' }))],
  ['JWT: no signature', async () => bearer(await unsigned({ alg: 'ES256', kid: '1' }))],
  ['JWT: a signature of zeros', async () => bearer(`${parts(jwt).slice(0, 2).join('.')}.${'A'.repeat(86)}`)],
  ['JWT: the public key as a secret', async () => bearer(await confused())],
  ['JWT: another key of the same name', async () => bearer(await sign({}, theirs.privateKey))],
  ['JWT: a key of an unknown name', async () => bearer(await sign({}, ours.privateKey, '2'))],
  ['JWT: truncated', () => bearer(jwt.slice(0, -4))],
  ['JWT: two parts of three', () => bearer(parts(jwt).slice(0, 2).join('.'))],
  [
    'JWT: another payload under the signature',
    () =>
      bearer(
        `${parts(jwt)[0]}.${json64({ sub: 'root', iss: ISSUER, aud: AUDIENCE, exp: 9999999999 })}.${parts(jwt)[2]}`,
      ),
  ],
  [
    'JWT: its own key in the header',
    async () => {
      const jwk = await exportJWK(theirs.publicKey);
      const claims = { sub: 'al', iss: ISSUER, aud: AUDIENCE, exp: inSeconds(60) };
      return bearer(
        await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', jwk }).sign(theirs.privateKey),
      );
    },
  ],
];

test.each(WRONG_TOKENS)('refused: %s', async (_, attempt) => {
  const headers = await attempt();
  expect(await infer(headers)).toEqual(NO_TOKEN);
  const ticket = await ask('/tickets', headers, { method: 'POST' });
  expect(ticket).toEqual(NO_TOKEN);
});

test('what needs a token needs it everywhere, and what is public is', async () => {
  const artifact = `/artifacts/${tiny.segments[0]!.sha256}`;
  for (const path of ['/models', '/models/tiny/manifest.json', artifact]) {
    expect([path, await ask(path, {})]).toEqual([path, NO_TOKEN]);
    expect([path, await ask(path, bearer(jwt))]).toEqual([path, [200, 'ok']]);
  }
  expect(await infer({}, `?token=${FIXED}&access_token=${jwt}`)).toEqual(NO_TOKEN);
  const unknown = await ask('/models/nothing/manifest.json', {});
  expect(unknown).toEqual(NO_TOKEN); // not even whether a model exists
  for (const path of ['/healthz', '/readyz', '/link']) expect(await ask(path, {})).toEqual([200, 'ok']);
  const kept = await fetch(`${tail.url}${artifact}`, { headers: bearer(FIXED) });
  await kept.arrayBuffer();
  expect(kept.headers.get('cache-control')).toMatch(/^private, /);
});

test('fixed tokens and JWTs are taken, for their models only', async () => {
  for (const token of [FIXED, TINY_ONLY, jwt]) expect(await infer(bearer(token))).toEqual([200, 'ok']);
  expect(await infer({ authorization: `bearer  ${FIXED}` })).toEqual([200, 'ok']);
  const others = ['/models/slow/manifest.json', `/artifacts/${slow.segments[0]!.sha256}`];
  for (const path of others) {
    expect(await ask(path, bearer(TINY_ONLY))).toEqual(NOT_ALLOWED);
    expect(await ask(path, bearer(FIXED))).toEqual([200, 'ok']);
  }
  // Spelled so that the path differs and what a handler reads does not.
  const { sha256 } = slow.segments[0]!;
  const twice = `%25${sha256.charCodeAt(0).toString(16)}${sha256.slice(1)}`;
  for (const path of [
    `/artifacts/${twice}`,
    '/models/slo%2577/manifest.json',
    '/models/slo%77/manifest.json',
  ])
    expect([path, await ask(path, bearer(TINY_ONLY))]).toEqual([path, NOT_ALLOWED]);
  const list = await fetch(`${tail.url}/models`, { headers: bearer(TINY_ONLY) });
  expect(await list.json()).toMatchObject({ models: [{ name: 'tiny' }] });
  for (const path of ['/%6dodels', '/models?', '//models', '/models/', '/Models'])
    expect([path, [401, 404].includes((await ask(path, {}))[0])]).toEqual([path, true]);
  const headers = { 'content-type': FRAME_TYPE, ...bearer(TINY_ONLY) };
  const body = tinyFrame(slow);
  expect(await ask('/models/slow/infer', headers, { method: 'POST', body })).toEqual(NOT_ALLOWED);
});

test.each([
  ['a foreign page', { origin: 'https://evil.example' }],
  ['a page without an origin', { origin: 'null' }],
  ['a page of the right name over http', { origin: 'http://app.example' }],
  ['a page whose name begins right', { origin: 'https://app.example.evil.example' }],
  [
    'a foreign page that claims to be of this site',
    { origin: 'https://evil.example', 'sec-fetch-site': 'same-site' },
  ],
])('refused even with a token: %s', async (_, headers) => {
  expect(await infer({ ...bearer(FIXED), ...headers })).toEqual(NOT_ALLOWED);
  expect(await ask('/tickets', { ...bearer(FIXED), ...headers }, { method: 'POST' })).toEqual(NOT_ALLOWED);
});

test('pages of the list and of this host are let in', async () => {
  for (const origin of [PAGE, tail.url])
    expect(await infer({ ...bearer(FIXED), origin })).toEqual([200, 'ok']);
});

test('no log line holds a token or a ticket, and lines say whose a request was', async () => {
  await infer(bearer(FIXED), `?token=${FIXED}`);
  expect(lines.length).toBeGreaterThan(60);
  expect(leaked(lines)).toEqual([]);
  expect(lines.join('')).toMatch(/"subject":"shop"/);
});
