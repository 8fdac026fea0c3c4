import { expect, test } from 'vitest';
import { openScope } from './scope.ts';

const never = new Promise<never>(() => undefined);

test('work wins while nothing ends the call, and its failure stays its own', async () => {
  const scope = openScope([undefined, new AbortController().signal], 10_000);
  await expect(scope.race(Promise.resolve(7))).resolves.toBe(7);
  await expect(scope.race(Promise.reject(new Error('own')))).rejects.toThrow('own');
  scope.end();
});

test('a deadline ends work that never settles', async () => {
  const scope = openScope([], 20);
  await expect(scope.race(never)).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  expect(scope.signal.aborted).toBe(true);
});

test('signals end it with their own reason, also when they fired before', async () => {
  const controller = new AbortController();
  const scope = openScope([controller.signal]);
  const racing = scope.race(never);
  controller.abort();
  await expect(racing).rejects.toMatchObject({ name: 'AbortError' });
  const reason = new Error('changed my mind');
  await expect(openScope([AbortSignal.abort(reason)]).race(never)).rejects.toBe(reason);
});

test('after the end nothing fires', async () => {
  const controller = new AbortController();
  const scope = openScope([controller.signal], 20);
  scope.end();
  controller.abort();
  await new Promise((resolve) => setTimeout(resolve, 40));
  expect(scope.signal.aborted).toBe(false);
});

test('deadlines that are none', () => {
  for (const bad of [0, -1, Number.NaN, '5']) {
    expect(() => openScope([], bad as number)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  }
  const endless = openScope([], Number.POSITIVE_INFINITY);
  expect(endless.signal.aborted).toBe(false);
});
