import { expect, test } from 'vitest';
import { betweenStages, shares } from './stages.ts';

const split = {
  preprocess: 2,
  head: 10,
  encode: 3,
  uplink: 20,
  queue: 2,
  decode: 1,
  tail: 7,
  downlink: 1,
  total: 50,
};

test('a bar holds every stage in order and the remainder up to the wall clock', () => {
  const pieces = shares(split);
  expect(pieces.map((p) => p.stage)).toEqual([
    'preprocess',
    'head',
    'encode',
    'uplink',
    'queue',
    'decode',
    'tail',
    'downlink',
    'between',
  ]);
  expect(pieces.at(-1)).toMatchObject({ ms: 4, share: 0.08 });
  expect(pieces.reduce((sum, p) => sum + p.share, 0)).toBeCloseTo(1, 9);
});

test('stages that did not happen take no room', () => {
  expect(shares({ preprocess: 1, head: 4, total: 5 }).map((p) => p.stage)).toEqual(['preprocess', 'head']);
});

test('bars of one scale can be compared', () => {
  const sum = shares({ head: 25, total: 25 }, 100).reduce((s, p) => s + p.share, 0);
  expect(sum).toBeCloseTo(0.25, 9);
});

test('clocks that disagree by a little never make a negative remainder', () => {
  expect(betweenStages({ head: 5.2, total: 5 })).toBe(0);
  expect(shares({ head: 5.2, total: 5 })[0]!.share).toBe(1);
});
