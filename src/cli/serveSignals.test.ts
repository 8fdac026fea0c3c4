// Signals to a real `isthmus serve` under load: SIGTERM loses no request, a second one ends it at once, SIGHUP takes in new
// tokens and models.
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { addTiny, rawTensor, testModels, tinyFrame } from '../tail/testModels.fixture.ts';
import { FRAME_TYPE } from '../wire/layout.ts';
import { endServes, startServe } from './serveProcess.fixture.ts';

afterEach(endServes);

/** One request on a kept connection: status, or the code of what went wrong with the socket. */
function post(url: string, body: Uint8Array, agent: Agent): Promise<number | string> {
  return new Promise((resolve) => {
    const outgoing = request(url, { method: 'POST', agent, headers: { 'content-type': FRAME_TYPE } });
    outgoing.on('response', (response: IncomingMessage) => {
      response
        .resume()
        .on('end', () => resolve(response.statusCode!))
        .on('error', () => resolve('cut'));
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    outgoing.end(body);
  });
}

const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 2000 && !(await holds()); i++) await new Promise((resolve) => setTimeout(resolve, 10));
};

test.each([
  ['with slow requests under way', 2],
  ['with fast ones only', 0],
])(
  'SIGTERM under load, %s: every request is answered, /readyz turns, and the process ends in time',
  async (_, slowOnes) => {
    const { dir, tiny, slow } = await testModels();
    const { child, url } = await startServe([
      dir,
      '--port',
      '0',
      '--threads',
      '1',
      '--quiet',
      '--no-watch',
      '--grace',
      '20',
    ]);
    const agent = new Agent({ keepAlive: true });
    const outcomes: { at: number; status: number | string }[] = [];
    let signalled = Number.POSITIVE_INFINITY;
    // Eight clients that ask again as soon as they have an answer, until they are refused.
    const clients = Array.from({ length: 8 }, async () => {
      for (;;) {
        const at = performance.now();
        const status = await post(`${url}/models/tiny/infer`, tinyFrame(tiny), agent);
        outcomes.push({ at, status });
        if (status !== 200) return;
      }
    });
    const slowFrame = tinyFrame(slow, { tensors: [rawTensor([1, 1], Float32Array.of(0.001))] });
    await until(() => outcomes.length > 100);
    const slowRuns = Array.from({ length: slowOnes }, async () =>
      post(`${url}/models/slow/infer`, slowFrame, agent),
    );
    if (slowOnes > 0) await new Promise((resolve) => setTimeout(resolve, 100));
    const exit = once(child, 'exit');
    signalled = performance.now();
    child.kill('SIGTERM');
    let ready = 200;
    await until(async () => {
      ready = await fetch(`${url}/readyz`, { headers: { connection: 'close' } }).then(
        (r) => r.status,
        () => 0,
      );
      return ready !== 200;
    });
    await Promise.all(clients);
    const slowAnswers = await Promise.all(slowRuns);
    const [code] = await exit;
    const took = performance.now() - signalled;
    agent.destroy();

    expect(slowAnswers).toEqual(Array(slowOnes).fill(200));
    const before = outcomes.filter(({ at }) => at < signalled);
    expect(before.length).toBeGreaterThan(100);
    // Asked before the signal: answered. One that was still on its way then may be told to go elsewhere; none is cut off.
    expect(before.filter(({ status }) => ![200, 503].includes(Number(status)))).toEqual([]);
    expect(before.filter(({ at, status }) => status !== 200 && signalled - at > 1000)).toEqual([]);
    // Asked later: answered, refused, or nobody is there any more; but no answer ends in the middle.
    const later = [200, 503, 'ECONNREFUSED', 'ECONNRESET'];
    expect(outcomes.filter(({ status }) => !later.includes(status))).toEqual([]);
    if (slowOnes > 0) expect(ready).toBe(503);
    expect([503, 0]).toContain(ready);
    expect(code).toBe(0);
    expect(took).toBeLessThan(20_000);
  },
);

test('a second signal ends the process at once', async () => {
  const { dir, slow } = await testModels();
  const { child, url, errors } = await startServe([dir, '--port', '0', '--threads', '1', '--grace', '60']);
  const held = request(`${url}/models/slow/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE, 'content-length': tinyFrame(slow).byteLength },
  });
  held.on('error', () => undefined).write('half a body'); // keeps the stop waiting
  await new Promise((resolve) => setTimeout(resolve, 200));
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  await until(() => errors().includes('finishing'));
  const second = performance.now();
  child.kill('SIGTERM');
  expect(await exit).toEqual([null, 'SIGKILL']);
  expect(performance.now() - second).toBeLessThan(10_000);
});

test('SIGHUP takes in tokens and models, and keeps the old ones when the new are broken', async () => {
  const { dir, tiny } = await testModels();
  const tokensFile = join(dir, 'tokens.json');
  const tokenOf = (subject: string) => ({ subject, token: `token-of-${subject}-0123456789` });
  await writeFile(tokensFile, JSON.stringify([tokenOf('al')]));
  const config = join(dir, 'tail.json');
  await writeFile(config, JSON.stringify({ models: dir, port: 0, threads: 1, watch: false, tokensFile }));
  const { child, url, errors } = await startServe(['--config', config]);
  const ask = async (subject: string, model = 'tiny') => {
    const headers = { 'content-type': FRAME_TYPE, authorization: `Bearer ${tokenOf(subject).token}` };
    const response = await fetch(`${url}/models/${model}/infer`, {
      method: 'POST',
      headers,
      body: tinyFrame(tiny),
    });
    await response.arrayBuffer();
    return response.status;
  };
  const reload = async (line: string) => {
    const before = errors().length;
    child.kill('SIGHUP');
    await until(() => errors().slice(before).includes(line));
  };
  expect([await ask('al'), await ask('bo'), await ask('al', 'more')]).toEqual([200, 401, 404]);
  await writeFile(tokensFile, JSON.stringify([tokenOf('bo')]));
  await addTiny(dir, 'more');
  await reload('"msg":"reloaded"');
  expect([await ask('al'), await ask('bo'), await ask('bo', 'more')]).toEqual([401, 200, 200]);
  await writeFile(tokensFile, '[{"subject": "al", "tok');
  await reload('OPTION_INVALID');
  expect([await ask('al'), await ask('bo')]).toEqual([401, 200]);
  expect(errors()).not.toContain('token-of');
});
