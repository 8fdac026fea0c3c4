// Ranking: limits before speed, accuracy among equals, and patience that is measured by what giving up would cost.
import { expect, test } from 'vitest';
import type { Forecast } from './limits.ts';
import { patienceFor, ranked } from './ranking.ts';

const forecast = (
  plan: 'local' | 'split' | 'remote',
  ms: number,
  more: Partial<Forecast> = {},
): Forecast => ({
  candidate: { id: plan, plan, bytes: 1000, ...(plan === 'local' && { accuracy: 1 }) },
  ...{ ms, deviceMs: plan === 'local' ? ms : 2, linkMs: 0, serverMs: 0, bytes: 1000 },
  ...more,
});
const known = { samples: 10, deviationMs: 1 };

test('fewer limits exceeded go first, then less time; a tie is told apart by accuracy', () => {
  const [local, remote] = [forecast('local', 101), forecast('remote', 100)];
  expect(ranked([remote, local], {}, 0)[0]).toBe(local);
  expect(ranked([remote, forecast('local', 140)], {}, 0)[0]).toBe(remote);
  expect(ranked([remote, local], { maxDeviceMs: 50 }, 0)[0]).toBe(remote);
  expect(ranked([], {}, 0)).toEqual([]);
});

test('the longer a run here would take, the longer the tail is waited for, up to the deadline', () => {
  const crossing = forecast('remote', 50, { linkMs: 30, serverMs: 10 });
  const wait = (localMs: number, kind: 'stay' | 'return', limits = {}) =>
    patienceFor(crossing, forecast('local', localMs), limits, kind, known, { leniency: 1 })!;
  expect(wait(600, 'stay')).toBeGreaterThanOrEqual(400);
  expect(wait(600, 'return')).toBeGreaterThanOrEqual(300);
  expect(wait(60, 'stay')).toBeLessThan(200);
  expect(wait(60, 'return')).toBeLessThan(wait(60, 'stay'));
  expect(wait(600, 'stay', { deadlineMs: 800 })).toBeLessThan(200);
  expect(patienceFor(crossing, undefined, {}, 'stay', known, { leniency: 1 })).toBeUndefined();
});
