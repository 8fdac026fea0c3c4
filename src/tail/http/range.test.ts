import { expect, test } from 'vitest';
import { parseRange } from './range.ts';

test.each([
  ['bytes=0-9', { start: 0, end: 9 }],
  ['bytes=90-', { start: 90, end: 99 }],
  ['bytes=90-500', { start: 90, end: 99 }],
  ['bytes=-7', { start: 93, end: 99 }],
  ['bytes=-700', { start: 0, end: 99 }],
  ['bytes=99-99', { start: 99, end: 99 }],
])('%s of 100 bytes', (header, want) => expect(parseRange(header, 100)).toEqual(want));

test.each(['bytes=100-', 'bytes=100-200', 'bytes=-0', 'bytes=999999999999999-'])(
  '%s lies behind the end',
  (header) => expect(parseRange(header, 100)).toBe('unsatisfiable'),
);

test.each([
  undefined,
  '',
  'bytes=',
  'bytes=-',
  'bytes=5-2',
  'bytes=0-1,3-4',
  'lines=0-1',
  'bytes=a-b',
  'bytes=0x1-',
])('%s is ignored', (header) => expect(parseRange(header, 100)).toBe('whole'));
