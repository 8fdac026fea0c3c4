// Three tails as processes of their own behind haproxy with the very configuration of deploy/: one is killed and one told
// to stop under load, and no request is lost; sequences stay where they are, and move only with their tail.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Manifest } from '../../model/manifest.ts';
import { FRAME_TYPE } from '../../wire/layout.ts';
import { testModels, tinyFrame, wave } from '../testModels.fixture.ts';
import { checkHaproxy, ensureHaproxy, freePorts, startHaproxy } from './haproxy.fixture.ts';
import { callOip, oipClient, tinyRequest } from './oipClient.fixture.ts';
import { serveProcess } from './serveProcess.fixture.ts';

const root = new URL('../../..', import.meta.url);
const config = fileURLToPath(new URL('deploy/haproxy.cfg', root));
const haproxy = ensureHaproxy();
if (!haproxy)
  console.warn(
    'NOT RUN: haproxy is missing (Debian: apt-get install haproxy), so deploy/haproxy.cfg is untested.',
  );

let tiny: Manifest;
let url: string;
let grpcPort: number;
const tails = new Map<string, ChildProcess>();
const children: ChildProcess[] = [];
let env: Record<string, string>;

beforeAll(async () => {
  if (!haproxy) return;
  const made = await testModels();
  ({ tiny } = made);
  const [web, grpc, ...ports] = await freePorts(8);
  grpcPort = grpc!;
  url = `http://127.0.0.1:${web}`;
  env = { ISTHMUS_BIND: `127.0.0.1:${web}`, ISTHMUS_GRPC_BIND: `127.0.0.1:${grpc}` };
  for (const i of [1, 2, 3]) {
    const [port, grpcOf] = [ports[2 * i - 2], ports[2 * i - 1]];
    env[`ISTHMUS_TAIL_${i}`] = `127.0.0.1:${port}`;
    env[`ISTHMUS_GRPC_${i}`] = `127.0.0.1:${grpcOf}`;
    const flags = ['--port', `${port}`, '--grpc-port', `${grpcOf}`, '--threads', '1', '--quiet'];
    const child = serveProcess(made.dir, ...flags);
    children.push(child);
    tails.set(`tail-${i}`, child);
  }
  const proxy = startHaproxy(haproxy, config, env);
  children.push(proxy);
  const seen = new Set<string>();
  for (let i = 0; i < 600 && seen.size < 3 && proxy.exitCode === null; i++) {
    const name = await instance({}).catch(() => undefined);
    if (name) seen.add(name);
    else await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(proxy.exitCode).toBeNull();
  expect([...seen].sort()).toEqual(['tail-1', 'tail-2', 'tail-3']);
}, 60_000);

afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
});

const infer = (headers: Record<string, string>, query = '') =>
  fetch(`${url}/models/tiny/infer${query}`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE, ...headers },
    body: tinyFrame(tiny),
  });

/** Who answered. @throws when the answer is not 200 */
async function instance(headers: Record<string, string>, query = ''): Promise<string> {
  const response = await infer(headers, query);
  await response.arrayBuffer();
  if (response.status !== 200) throw new Error(`status ${response.status}`);
  return response.headers.get('isthmus-instance')!;
}

const names = Array.from({ length: 40 }, (_, i) => `sequence-${i}`);
const places = () => Promise.all(names.map((id) => instance({ 'isthmus-sequence': id })));

test.skipIf(!haproxy)(
  'haproxy takes the configuration as it is, with its defaults and with addresses',
  () => {
    for (const given of [{}, env]) expect(checkHaproxy(haproxy!, config, given)).toMatchObject({ code: 0 });
  },
);

test.skipIf(!haproxy)('a sequence stays on one tail, by header, cookie or query', async () => {
  const first = await places();
  expect(new Set(first).size).toBe(3);
  expect(await places()).toEqual(first);
  for (const [i, id] of names.slice(0, 8).entries()) {
    expect(await instance({ cookie: `isthmus_sequence=${id}` })).toBe(first[i]);
    expect(await instance({}, `?sequence=${id}`)).toBe(first[i]);
  }
  const others = new Set<string>();
  for (let i = 0; i < 12; i++) others.add(await instance({}));
  expect(others.size).toBe(3);
});

test.skipIf(!haproxy)('gRPC goes through it, and keeps sequences too', async () => {
  const client = oipClient(grpcPort);
  const headers = { 'isthmus-sequence': 'sequence-1' };
  for (let i = 0; i < 6; i++) {
    const { outputs } = await callOip(client, 'ModelInfer', tinyRequest(wave(192)), i % 2 ? { headers } : {});
    expect(outputs[0]!.name).toBe('scores');
  }
  client.close();
});

test.skipIf(!haproxy)(
  'one tail is killed, another told to stop: no request is lost',
  { timeout: 45_000 },
  async () => {
    const before = await places();
    let stop = false;
    let answered = 0;
    const failures: unknown[] = [];
    const load = Array.from({ length: 12 }, async (_, i) => {
      for (let n = 0; !stop; n++) {
        const headers: Record<string, string> = n % 2 ? { 'isthmus-sequence': names[(i + n) % 40]! } : {};
        await instance(headers).then(
          () => answered++,
          (error: unknown) => failures.push(error),
        );
      }
    });
    const more = async (count: number) => {
      const until = answered + count;
      for (let i = 0; i < 400 && answered < until; i++)
        await new Promise((resolve) => setTimeout(resolve, 25));
    };
    await more(200);
    tails.get('tail-2')!.kill('SIGKILL');
    await more(400);
    const after = await places();
    const exit = once(tails.get('tail-3')!, 'exit');
    tails.get('tail-3')!.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
    await more(200);
    stop = true;
    await Promise.all(load);
    expect(failures).toEqual([]);
    expect(answered).toBeGreaterThan(700);
    // Sequences of the tail that died have moved, all others are where they were.
    expect(
      after.map((name, i) => (before[i] === 'tail-2' ? name !== 'tail-2' : name === before[i])),
    ).not.toContain(false);
    expect(new Set(await places())).toEqual(new Set(['tail-1']));
  },
);
