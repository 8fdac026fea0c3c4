import { expect, test } from 'vitest';
import { bytes, ms, percent, ratio } from './format.ts';

test('bytes use decimal units and three significant digits', () => {
  expect([0, 999, 1000, 12_345, 999_499, 999_500, 26_800_000].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '12.3 kB',
    '999 kB',
    '1.00 MB',
    '26.8 MB',
  ]);
});

test('milliseconds become seconds before they need four digits', () => {
  expect([0, 0.4, 12.34, 999.4, 999.6, 12_000].map(ms)).toEqual([
    '0 ms',
    '0.40 ms',
    '12.3 ms',
    '999 ms',
    '1.00 s',
    '12.0 s',
  ]);
});

test('shares are never rounded to nothing or to certainty', () => {
  expect([0, 0.00001, 0.0004, 0.973, 0.99999, 1].map(percent)).toEqual([
    '0 %',
    '< 0.01 %',
    '0.04 %',
    '97.3 %',
    '> 99.9 %',
    '100 %',
  ]);
});

test('ratios say nothing when nothing was sent', () => {
  expect(ratio(100, 12)).toBe('8.3×');
  expect(ratio(5, 12)).toBe('0.4×');
  expect(ratio(1_200_000, 1000)).toBe('1200×');
  expect(ratio(3.42, 131)).toBe('0.026×');
  expect(ratio(5, 0)).toBe('–');
});
