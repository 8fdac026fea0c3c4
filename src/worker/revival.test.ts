// How often a worker is made anew, who is kept waiting meanwhile, and that a worker is replaced between runs, never under one.
import { expect, onTestFinished, test, vi } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { Recycler } from './recycler.ts';
import { Revival } from './revival.ts';

const dead = new IsthmusError('WORKER_FAILED', 'It was ended.');
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

test('a death is trouble until another worker is there, and whoever will not wait is told at once', async () => {
  let ready: () => void = () => {};
  const revival = new Revival(
    () =>
      new Promise<void>((resolve) => {
        ready = resolve;
      }),
  );
  const { trouble } = revival;
  const waiting = trouble.unlessTroubled(() => new Promise(() => {}));
  revival.died(dead);
  await expect(waiting).rejects.toBe(dead);
  await expect(trouble.unlessTroubled(async () => 1)).rejects.toBe(dead);
  ready();
  await settled();
  expect(trouble.trouble).toBeUndefined();
  expect(await trouble.unlessTroubled(async () => 1)).toBe(1);
});

test('a worker that does not come back is tried twice and then left alone, until one that waited for it was answered', async () => {
  let tries = 0;
  const revival = new Revival(async () => {
    tries++;
    throw new Error('no');
  });
  revival.died(dead);
  await settled();
  expect(tries).toBe(2);
  expect(revival.trouble.trouble?.code).toBe('WORKER_FAILED');
  revival.beginWhenDue();
  await settled();
  expect(tries).toBe(2);
  revival.computed(revival.trouble.trouble);
  expect(revival.trouble.trouble).toBeUndefined();
});

test('three workers that die one after the other: the third is made without a GPU, then none for a minute', async () => {
  onTestFinished(() => void vi.restoreAllMocks());
  let now = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now);
  let made = 0;
  const revival = new Revival(async () => {
    made++;
  });
  const after = async (ms: number, event: () => void) => {
    now += ms;
    event();
    await settled();
    return made;
  };
  const death = () => revival.died(dead);
  expect(await after(0, death)).toBe(1);
  expect(revival.withoutGpu).toBe(false);
  expect(await after(0, death)).toBe(2);
  expect(revival.withoutGpu).toBe(true);
  for (let i = 0; i < 8; i++) expect(await after(1000, death)).toBe(2); // the last at 8 s
  expect(revival.trouble.trouble).toBe(dead);
  const run = () => revival.beginWhenDue();
  expect(await after(59_000, run)).toBe(2);
  expect(await after(2000, run)).toBe(3);
  expect(revival.trouble.trouble).toBeUndefined();
  // Anew: one that died while another one was made counts as well.
  expect(await after(0, death)).toBe(4);
  revival.computed(undefined);
  expect(await after(0, death)).toBe(5);
  expect(revival.withoutGpu).toBe(false);
});

test('a worker is replaced when nothing runs on it, and what comes meanwhile waits', async () => {
  const events: string[] = [];
  const recycler = new Recycler({ runs: 2 }, async () => {
    events.push('ended');
    await settled();
    events.push('made');
  });
  const work = (name: string, ms: number) =>
    recycler.during(
      async () => {
        await new Promise((resolve) => setTimeout(resolve, ms));
        events.push(name);
      },
      () => ({ bytes: 0, having: '' }),
    );
  const slow = work('slow', 30);
  await work('a', 0);
  await work('b', 0); // the second of two: its end is the time, but another one is still running
  const after = work('after', 0);
  await Promise.all([slow, after]);
  expect(events).toEqual(['a', 'b', 'slow', 'ended', 'made', 'after']);
});

test('a model that needs more than the limit is no reason for a fresh worker after each run, growth is', async () => {
  let renewed = 0;
  const recycler = new Recycler({ megabytes: 1 }, async () => {
    renewed++;
    recycler.reset();
  });
  recycler.reset(); // the first worker
  const run = async (megabytes: number, having: string) => {
    await recycler.during(
      async () => {},
      () => ({ bytes: megabytes * 2 ** 20, having }),
    );
    await settled();
    return renewed;
  };
  for (let i = 0; i < 5; i++) expect(await run(4, 'head')).toBe(0); // a fresh one would hold as much
  // More of the model: what a fresh worker holds with it is not known, so it may be less.
  expect(await run(9, 'whole')).toBe(1);
  for (let i = 0; i < 5; i++) expect(await run(8, 'whole')).toBe(1);
  expect(await run(11.9, 'whole')).toBe(1);
  expect(await run(12, 'whole')).toBe(2); // half as much again
  expect(await run(8, 'whole')).toBe(2);
});
