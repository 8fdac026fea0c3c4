import { expect, test } from 'vitest';
import type { Report } from '../index.ts';
import { verdict } from './rivals.ts';

const rivals = { rawFloat32: 24_000, gzipFp16: 11_000, jpeg: 4000 };
const run = (up: number, ran: Report['ran'] = 'split') => ({ ran, bytes: { up, down: 100 } });

test('the verdict names the winner, whoever it is', () => {
  expect(verdict(run(2000), rivals)).toBe(
    '12 times less than the raw feature, and 2.0 times less than the picture as JPEG.',
  );
  expect(verdict(run(24_100), rivals)).toBe(
    'No less than the raw feature. The picture as JPEG would be 6.0 times smaller than this.',
  );
  expect(verdict(run(4100), rivals)).toBe(
    '5.9 times less than the raw feature, about as much as the picture as JPEG.',
  );
});

test('runs that sent nothing, or the picture, are not praised for their feature', () => {
  expect(verdict(run(0, 'local'), rivals)).toBe('Nothing crossed. Other ways would have sent this much.');
  expect(verdict(run(4000, 'remote'), rivals)).toBe(
    '6.0 times less than the raw feature: the picture itself crossed.',
  );
});
