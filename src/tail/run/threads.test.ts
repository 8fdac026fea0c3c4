// What the pool does when more comes than it can do: who goes first, who is refused, who is let go. Its threads are real;
// where time matters they wait instead of computing.
import { Worker } from 'node:worker_threads';
import { afterEach, expect, test } from 'vitest';
import type { Tensors } from '../../tensor.ts';
import type { RunJob } from './jobs.ts';
import { createThreads, type Threads } from './threads.ts';
import type { ThreadsOptions } from './threadsOptions.ts';

/** Segments are named by what they take: `load 300 run 20`. It holds what it has loaded, as a worker of ours does. */
const WAITING = `
const { parentPort } = require('node:worker_threads');
const held = new Set();
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
let last = Promise.resolve();
parentPort.on('message', (message) => {
  last = last.then(() => (message.stop ? parentPort.close() : answer(message)));
});
async function answer(message) {
  const { segments, items } = message.work;
  const [{ sha256 }] = segments;
  const [, load, run] = /load (\\d+) run (\\d+)/.exec(sha256);
  const begun = performance.now();
  if (!held.has(sha256)) await wait(Number(load));
  held.add(sha256);
  const loading = performance.now() - begun;
  await wait(Number(run));
  parentPort.postMessage({
    items: items.map(({ tensors }) => ({ outputs: tensors })),
    loading, decoding: 0, working: Number(run), sessions: [...held],
  });
}`;

const open: Threads[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((threads) => threads.close()));
});

function waitingThreads(options: ThreadsOptions): Threads {
  const threads = createThreads({ startWorker: () => new Worker(WAITING, { eval: true }), ...options });
  open.push(threads);
  return threads;
}

const tensors = (): Tensors => ({ x: { dtype: 'float32', shape: [1, 1], data: new Float32Array(1) } });
const job = (sha256: string, bytes = 1): RunJob => ({
  kind: 'run',
  segments: [{ path: '', sha256, bytes }],
  outputs: ['x'],
  tensors: tensors(),
});

test('the urgent overtake what waits', async () => {
  const threads = waitingThreads({ threads: 1 });
  const done: string[] = [];
  const ask = (name: string, urgency?: number) =>
    threads.run(job('load 0 run 5'), { id: name, urgency }).then(() => done.push(name));
  await Promise.all([ask('running'), ask('idle', 7), ask('plain'), ask('next'), ask('urgent', 0)]);
  expect(done).toEqual(['running', 'urgent', 'plain', 'next', 'idle']);
});

test('a full queue refuses at once and says when to come back', async () => {
  const threads = waitingThreads({ threads: 1, maxQueue: 20 });
  // So that it knows what a job takes.
  for (let i = 0; i < 12; i++) await threads.run(job('load 0 run 60'), { id: 'known' });
  // One runs, one is next, twenty wait.
  const accepted = Array.from({ length: 22 }, () => threads.run(job('load 0 run 60'), { id: 'accepted' }));
  expect(threads.waiting).toBe(20);
  const times: number[] = [];
  for (let i = 0; i < 50; i++) {
    const started = performance.now();
    const refused = threads.run(job('load 0 run 60'), { id: 'refused' });
    const error = await refused.catch((thrown: unknown) => thrown);
    times.push(performance.now() - started);
    expect(error).toMatchObject({ code: 'OVERLOADED' });
    const { retryAfter } = error as { retryAfter: number };
    expect(retryAfter).toBeGreaterThan(0.1);
    expect(retryAfter).toBeLessThan(5);
  }
  expect(times.sort((a, b) => a - b)[25]).toBeLessThan(5);
  expect(() => threads.refuseWhenFull()).toThrow(/20 requests wait/);
  await Promise.all(accepted);
  threads.refuseWhenFull();
});

test('a deadline that passes in the queue is answered then, not when its turn comes', async () => {
  const threads = waitingThreads({ threads: 1 });
  let over = false;
  const busy = threads.run(job('load 0 run 700'), { id: 'busy' }).then(() => {
    over = true;
  });
  const late = threads.run(job('load 0 run 1'), { id: 'late', deadline: Date.now() + 30 });
  await expect(late).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect([over, threads.waiting]).toEqual([false, 0]);
  await busy;
});

test('one large model that loads does not stop the others', async () => {
  const threads = waitingThreads({ threads: 2 });
  const small = () => threads.run(job('load 1 run 1'), { id: 'small' });
  await small();
  const done: string[] = [];
  // More requests for the large model than there are threads: they wait for the thread that loads it.
  const large = Array.from({ length: 4 }, () =>
    threads.run(job('load 3000 run 1', 2 ** 28), { id: 'large' }).then(() => done.push('large')),
  );
  for (let i = 0; i < 8; i++) await small().then(() => done.push('small'));
  expect(done).toEqual(Array(8).fill('small'));
  await Promise.all(large);
});

test('a job goes to a thread that has its model, and to another only when that one is busy', async () => {
  const threads = waitingThreads({ threads: 2 });
  const ask = () => threads.run(job('load 30 run 30'), { id: 'a' });
  const first = await ask();
  expect(first.queue).toBeGreaterThan(20);
  for (let i = 0; i < 5; i++) expect((await ask()).queue).toBeLessThan(first.queue);
  const both = await Promise.all([ask(), ask()]);
  expect(Math.max(...both.map((r) => r.queue))).toBeGreaterThan(20);
});

test('a thread that cannot be started fails its own work, and is asked for anew', async () => {
  let broken = true;
  const threads = waitingThreads({
    threads: 1,
    startWorker: () => {
      if (broken) throw new Error('no more threads');
      return new Worker(WAITING, { eval: true });
    },
  });
  for (let i = 0; i < 2; i++)
    await expect(threads.run(job('load 0 run 0'), { id: 'x' })).rejects.toMatchObject({
      code: 'INFERENCE_FAILED',
    });
  broken = false;
  expect((await threads.run(job('load 0 run 0'), { id: 'x' })).outputs).toHaveProperty('x');
});
