// Times of stages: warm-up does not count, one slow run changes nothing, and a slower machine moves every stage.
import { expect, test } from 'vitest';
import { StageTimes } from './stageTimes.ts';

function warm(): StageTimes {
  const times = new StageTimes();
  for (const ms of [900, 20, 20, 20, 20]) times.observe('head:1', ms);
  for (const ms of [400, 60, 60, 60]) times.observe('head:3', ms);
  return times;
}

test('the first run, which compiles, is forgotten', () => {
  expect(warm().get('head:1')).toBeCloseTo(20);
  expect(warm().get('head:3')).toBeCloseTo(60);
  expect(warm().get('head:2')).toBeUndefined();
});

test('two slow runs in a row slow every stage down, one does not', () => {
  const times = warm();
  expect(times.observe('head:1', 60)).toBe(false);
  expect(times.get('head:3')).toBeCloseTo(60);
  expect(times.observe('head:1', 60)).toBe(true);
  expect(times.get('head:1')).toBeCloseTo(60);
  expect(times.get('head:3')).toBeCloseTo(180);
});

test('a slow run between usual ones is chance', () => {
  const times = warm();
  for (let i = 0; i < 5; i++) {
    expect(times.observe('head:1', 70)).toBe(false);
    expect(times.observe('head:1', 20)).toBe(false);
  }
  expect(times.get('head:1')!).toBeLessThan(24);
});

test('what was kept is where the next session begins', () => {
  const times = new StageTimes();
  times.restore({ ...warm().bases(), broken: Number.NaN });
  expect(times.get('head:3')).toBeCloseTo(60);
  expect(times.has('broken')).toBe(false);
});
