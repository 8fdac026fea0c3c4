// Where settings come from, which of them holds, and what is said about wrong ones. The page that lists them is checked too.
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { type ConfigSources, loadConfig, printableConfig } from './config.ts';
import { gateOptions } from './gateOptions.ts';
import { FACTS } from './settings.ts';
import { settingsTable } from './settingsTable.ts';

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'isthmus-config-'));
});

async function fileOf(content: unknown, name = 'tail.json'): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

const refusal = async (sources: ConfigSources): Promise<string> => {
  const error = await loadConfig(sources).then(
    () => undefined,
    (thrown: { code: string; message: string }) => thrown,
  );
  expect(error?.code).toBe('OPTION_INVALID');
  return error!.message;
};

test('flags hold before environment, environment before file, file before defaults', async () => {
  const file = await fileOf({ port: 1, threads: 1, maxQueue: 1, cors: ['https://a.example'], watch: false });
  const env = { ISTHMUS_PORT: '2', ISTHMUS_THREADS: '2', ISTHMUS_RATE: '0.5', ISTHMUS_QUIET: 'yes' };
  const { settings, from } = await loadConfig({ file, env, flags: { port: '3' } });
  expect(settings).toMatchObject({
    port: 3,
    threads: 2,
    maxQueue: 1,
    cors: ['https://a.example'],
    rate: 0.5,
  });
  expect(settings).toMatchObject({ quiet: true, watch: false, grace: 10, host: '127.0.0.1' });
  expect(Object.fromEntries(from)).toMatchObject({
    port: '--port',
    threads: 'ISTHMUS_THREADS',
    maxQueue: `'maxQueue' in ${file}`,
  });
  expect(from.has('grace')).toBe(false);
});

test('lists and tokens from text', async () => {
  const env = {
    ISTHMUS_CORS: 'https://a.example, http://localhost:5173',
    ISTHMUS_TOKENS: 'shop:s3cret.s3cret.s3cret:x',
  };
  const { settings } = await loadConfig({ env });
  expect(settings.cors).toEqual(['https://a.example', 'http://localhost:5173']);
  expect(settings.tokens).toEqual([{ subject: 'shop', token: 's3cret.s3cret.s3cret:x' }]);
});

test('an error names the setting, where its value came from, and what it may be', async () => {
  const file = await fileOf({ grace: '10' });
  expect(await refusal({ file })).toBe(`'grace' in ${file} must be a number.`);
  expect(await refusal({ flags: { port: '99999' } })).toBe('--port must be a whole number from 0 to 65535.');
  expect(await refusal({ env: { ISTHMUS_PORT: '1e3' } })).toMatch(/^ISTHMUS_PORT must be/);
  expect(await refusal({ env: { ISTHMUS_QUIET: 'perhaps' } })).toMatch(
    /^ISTHMUS_QUIET must be true or false/,
  );
  expect(await refusal({ flags: { metrics: 'all' } })).toBe('--metrics must be local, public or off.');
  const tokens = await fileOf({ tokens: ['shop:0123456789abcdef', { subject: 'x', tokn: 'hush' }] });
  expect(await refusal({ file: tokens })).toMatch(/^'tokens' in .*tail\.json, entry 2, must be "NAME:TOKEN"/);
  expect(await refusal({ file: await fileOf({ prot: 1 }) })).toMatch(
    /^'prot' in .* is no setting\. There are: .*port/,
  );
  expect(await refusal({ file: await fileOf('{"port": 1,}') })).toMatch(/is no JSON/);
  expect(await refusal({ file: await fileOf('[]') })).toMatch(/one JSON object/);
  expect(await refusal({ file: join(dir, 'absent.json') })).toMatch(/cannot be read/);
});

test('what Kubernetes says of a service called isthmus is no setting', async () => {
  const { settings } = await loadConfig({ env: { ISTHMUS_PORT: 'tcp://10.96.0.12:8787' } });
  expect(settings.port).toBe(8787);
});

test('the printed configuration is a file again and holds no secret', async () => {
  const env = {
    ISTHMUS_TOKENS: 'shop:hush-hush-hush-hush',
    ISTHMUS_TICKET_SECRET: 'hush'.repeat(8),
    ISTHMUS_PORT: '7',
  };
  const text = printableConfig(await loadConfig({ env, flags: { models: 'm' } }));
  expect(text).not.toContain('hush');
  const { tokens, ticketSecret, ...rest } = JSON.parse(text);
  expect([tokens, ticketSecret]).toEqual(['(hidden)', '(hidden)']);
  const again = await loadConfig({ file: await fileOf(rest) });
  expect(again.settings).toMatchObject({ port: 7, models: 'm' });
});

test('secrets have no flag', () => {
  const secrets = FACTS.filter(({ secret }) => secret);
  expect(secrets.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['tokens', 'jwtSecret', 'ticketSecret', 'backendToken']),
  );
  expect(secrets.every(({ flag }) => flag === undefined)).toBe(true);
});

test('rules of the gate follow from settings', async () => {
  const tokensFile = await fileOf(
    [{ subject: 'lab', sha256: 'ab'.repeat(32), models: ['a'] }],
    'tokens.json',
  );
  const env = {
    ISTHMUS_TOKENS: 'shop:0123456789abcdef',
    ISTHMUS_TOKENS_FILE: tokensFile,
    ISTHMUS_TRUSTED_PROXIES: '2',
    ISTHMUS_RATE: '5',
    ISTHMUS_JWT_ISSUER: 'https://login.example',
  };
  const options = await gateOptions((await loadConfig({ env })).settings);
  expect(options.tokens?.map(({ subject }) => subject)).toEqual(['shop', 'lab']);
  expect(options).toMatchObject({
    trustedProxies: 2,
    rate: { perSecond: 5 },
    jwt: { issuer: 'https://login.example' },
  });
  const wrong = async (changes: Record<string, string>) =>
    gateOptions((await loadConfig({ env: changes })).settings);
  await expect(wrong({ ISTHMUS_BURST: '5' })).rejects.toThrow('burst needs rate');
  const broken = await fileOf('[{"subject": "lab", "token": "hush-hush', 'broken.json');
  const thrown = await wrong({ ISTHMUS_TOKENS_FILE: broken }).catch((error: Error) => error.message);
  expect(thrown).toMatch(/is no JSON/);
  expect(thrown).not.toContain('hush');
  await expect(wrong({ ISTHMUS_TOKENS_FILE: await fileOf([], 'none.json') })).rejects.toThrow('everybody');
});

test('docs/operations.md lists the settings as they are', async () => {
  const page = await readFile(new URL('../../../docs/operations.md', import.meta.url), 'utf8');
  const [, table] = /<!-- settings -->\n\n([\s\S]*?)\n\n<!-- \/settings -->/.exec(page) ?? [];
  expect(table).toBe(settingsTable());
});
