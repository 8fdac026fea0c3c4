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

test('a machine that gets slow in every session does not make slower what it does not run', () => {
  let bases = { 'head:3': 20, 'encode:a': 5 };
  for (let session = 0; session < 4; session++) {
    const times = new StageTimes();
    times.restore(bases);
    for (const ms of [20, 20, 20, 20, 160, 160, 160]) times.observe('head:3', ms);
    expect(times.get('encode:a')).toBeCloseTo(40);
    bases = times.bases() as typeof bases;
    expect(bases).toEqual({ 'head:3': expect.closeTo(160), 'encode:a': 5 });
    bases['head:3'] = 20; // it cools down
  }
});

test('a short stage that is off says nothing about the machine, and does not speak against a long one', () => {
  const times = warm();
  for (const ms of [2, 1, 1, 1]) times.observe('encode:a', ms);
  for (let i = 0; i < 4; i++) expect(times.observe('encode:a', 3)).toBe(false);
  expect(times.slowness).toBeCloseTo(1);
  expect(times.observe('head:3', 150)).toBe(false);
  expect(times.observe('encode:a', 1)).toBe(false);
  expect(times.observe('head:3', 150)).toBe(true);
});

test('storage may hold anything', () => {
  const times = new StageTimes();
  for (const kept of [null, undefined, 7, 'text', [1, 'x'], { a: -1, b: 1e300, c: '5', d: null }])
    expect(() => times.restore(kept)).not.toThrow();
  for (const stage of ['a', 'b', 'c', 'd', '1']) expect(times.has(stage)).toBe(false);
});

test('with evidence one odd time is enough, and a stage never run before is measured against what it should take', () => {
  expect(warm().observe('head:1', 60)).toBe(false);
  expect(warm().observe('head:1', 60, { sure: true })).toBe(true);
  const times = warm();
  expect(times.observe('head:2', 200, { sure: true, expected: 40 })).toBe(true);
  expect(times.get('head:3')).toBeCloseTo(300);
  expect(times.get('head:2')).toBeCloseTo(200);
});

test('a stage that was measured in a bad moment does not stay slow, and moves no other', () => {
  const times = warm();
  for (const ms of [45, 45, 45]) times.observe('head:2', ms);
  for (let i = 0; i < 12; i++) times.observe('head:2', 38);
  expect(times.get('head:2')! / 38).toBeCloseTo(1, 1);
  expect(times.get('head:3')! / 60).toBeGreaterThan(0.93);
});

test('what was not measured for long is doubted more and more, to a bound', () => {
  const times = warm();
  const doubts = Array.from({ length: 4 }, () => {
    for (let i = 0; i < 150; i++) times.observe('head:1', 20);
    return times.doubt('head:3');
  });
  expect(doubts).toEqual([...doubts].sort((a, b) => b - a));
  expect(doubts[0]).toBeLessThan(0.85);
  expect(doubts.at(-1)).toBeGreaterThan(0.6);
  expect(times.doubt('head:1')).toBeGreaterThan(0.9);
});

test('on a machine whose times differ much, what would else be odd is chance', () => {
  const times = warm();
  for (let i = 0; i < 60; i++) times.observe('head:3', i % 2 ? 45 : 80);
  expect(times.odd('head:3', 100)).toBe(0);
  expect(warm().odd('head:3', 100)).toBe(1);
});
