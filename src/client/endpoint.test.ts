// Addresses as people type them, against real servers that are tails, and that are not.
import { expect, test } from 'vitest';
import { closedPort, localServer } from '../transport/localServer.fixture.ts';
import { fetchManifest, resolveEndpoint } from './endpoint.ts';

const json = (value: unknown) => ({ type: 'application/json', body: JSON.stringify(value) });
const fail = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (e) => `${e.code}: ${e.message}`,
  );

test('slashes, manifest.json, queries, hashes and prefixes', async () => {
  const wanted = {
    base: 'https://host',
    model: 'https://host/models/net',
    artifacts: 'https://host/artifacts',
  };
  for (const tail of ['', '/', '//', '/manifest.json', '?v=1', '/?v=1#top', '/manifest.json?x']) {
    expect(await resolveEndpoint(`https://host/models/net${tail}`, {})).toEqual(wanted);
  }
  expect(await resolveEndpoint('http://host:81/ml/v2/models/net/', {})).toEqual({
    base: 'http://host:81/ml/v2',
    model: 'http://host:81/ml/v2/models/net',
    artifacts: 'http://host:81/ml/v2/artifacts',
  });
});

test('no address', async () => {
  for (const address of ['', 'host/models/net', 'ftp://host/models/net', 'file:///models/net', 'http://']) {
    expect(await fail(resolveEndpoint(address, {})), address).toMatch(/^OPTION_INVALID.*looks like http/);
  }
});

test('a bare origin stands for the only model, and lists several', async () => {
  let names = ['net'];
  await using server = await localServer((req, res) => {
    const { type, body } = json({ models: names.map((name) => ({ name })) });
    res.writeHead(req.url?.endsWith('/models') ? 200 : 404, { 'content-type': type }).end(body);
  });
  for (const address of [server.url, `${server.url}/`, `${server.url}/models`, `${server.url}/models/`]) {
    expect(await resolveEndpoint(address, {})).toEqual({
      base: server.url,
      model: `${server.url}/models/net`,
      artifacts: `${server.url}/artifacts`,
    });
  }
  names = ['one', 'two'];
  expect(await fail(resolveEndpoint(server.url, {}))).toMatch(
    /^MODEL_NOT_FOUND.*\/models\/one.*\/models\/two/,
  );
  names = [];
  expect(await fail(resolveEndpoint(server.url, {}))).toMatch(/^MODEL_NOT_FOUND.*no models/);
});

test('what answers but is no tail, and what does not answer', async () => {
  let answer = { type: 'text/html', body: '<!doctype html>' };
  await using server = await localServer((_, res) => {
    res.writeHead(200, { 'content-type': answer.type }).end(answer.body);
  });
  const manifest = async () => fetchManifest(await resolveEndpoint(`${server.url}/models/net`, {}), {});
  expect(await fail(manifest())).toMatch(/^NOT_ISTHMUS.*text\/html/);
  expect(await fail(resolveEndpoint(server.url, {}))).toMatch(/^NOT_ISTHMUS/);
  for (const other of [{ hello: 'world' }, [], null, 3, { models: 'many' }, { models: [1] }]) {
    answer = json(other);
    expect(await fail(manifest()), answer.body).toMatch(/^NOT_ISTHMUS/);
    expect(await fail(resolveEndpoint(server.url, {})), answer.body).toMatch(
      /^(NOT_ISTHMUS|MODEL_NOT_FOUND)/,
    );
  }
  answer = { type: 'application/json', body: '{"format": ' };
  expect(await fail(manifest())).toMatch(/^NOT_ISTHMUS.*damaged JSON/);
  answer = json({ format: 'isthmus-manifest/1', name: 'net' });
  expect(await fail(manifest())).toMatch(/^MANIFEST_INVALID/);
  const closed = await closedPort();
  expect(
    await fail(fetchManifest({ base: closed, model: `${closed}/models/net`, artifacts: '' }, {})),
  ).toMatch(/^OFFLINE/);
});

test('a model that is not there names those that are', async () => {
  const missing = { error: { code: 'MODEL_NOT_FOUND', message: 'No such model.' } };
  await using server = await localServer((req, res) => {
    const listing = req.url === '/models';
    res.writeHead(listing ? 200 : 404, { 'content-type': 'application/json' });
    res.end(JSON.stringify(listing ? { models: [{ name: 'one' }, { name: 'two' }] } : missing));
  });
  const endpoint = await resolveEndpoint(`${server.url}/models/three`, {});
  expect(await fail(fetchManifest(endpoint, {}))).toBe(
    'MODEL_NOT_FOUND: No such model. There are: one, two.',
  );
});
