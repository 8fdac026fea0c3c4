// How often a worker is made anew, who is kept waiting meanwhile, and that a worker is replaced between runs, never under one.
import { expect, test } from 'vitest';
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

test('workers that die one after the other are made without a GPU, then no more', async () => {
  let made = 0;
  const revival = new Revival(async () => {
    made++;
  });
  for (let i = 0; i < 6; i++) {
    revival.died(dead);
    await settled();
    if (i > 0 && i < 3) expect(revival.withoutGpu).toBe(true);
  }
  expect(made).toBeLessThan(6);
  revival.computed(undefined);
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
      () => 0,
    );
  const slow = work('slow', 30);
  await work('a', 0);
  await work('b', 0); // the second of two: its end is the time, but another one is still running
  const after = work('after', 0);
  await Promise.all([slow, after]);
  expect(events).toEqual(['a', 'b', 'slow', 'ended', 'made', 'after']);
});
