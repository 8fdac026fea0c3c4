import { expect, test } from 'vitest';
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { Manifest } from '../model/manifest.ts';
import { defaultCut, type Failure, mayFallBack, type Plan, plansOf } from './plan.ts';
import type { Mode } from './types.ts';

/** Segments as [work, raw bytes of the cut behind it]. */
const chain = (parts: [work: number, rawBytes: number][], last: number, counted = true) =>
  ({
    name: 'chain',
    segments: [...parts.map((p) => p[0]), last].map((w) => (counted ? { macs: w, bytes: 1 } : { bytes: w })),
    cuts: parts.map((p, i) => ({ name: `cut${i}`, rawBytes: p[1] })),
  }) as unknown as Manifest;

test('the default cut is the smallest feature within three quarters of the work', () => {
  const parts: [number, number][] = [
    [10, 900],
    [20, 400],
    [30, 500],
    [30, 10],
  ];
  expect(defaultCut(chain(parts, 10))).toBe(1);
  expect(defaultCut(chain(parts, 100))).toBe(3);
  expect(defaultCut(chain(parts, 10, false))).toBe(1);
});

test('the first cut when all lie late, the earliest of equals, an error without cuts', () => {
  expect(
    defaultCut(
      chain(
        [
          [90, 500],
          [5, 10],
        ],
        5,
      ),
    ),
  ).toBe(0);
  expect(
    defaultCut(
      chain(
        [
          [1, 7],
          [1, 7],
        ],
        8,
      ),
    ),
  ).toBe(0);
  const four = chain(
    [
      [1, 9],
      [1, 8],
      [1, 7],
      [1, 6],
    ],
    9,
  );
  expect([undefined, 3, 2, 1, 0].map((latest) => defaultCut(four, latest))).toEqual([3, 3, 2, 1, 0]);
  expect(() => defaultCut(chain([], 1))).toThrow(expect.objectContaining({ code: 'CUT_INVALID' }));
});

test('modes', () => {
  expect(plansOf('only-remote')).toEqual(['remote']);
  expect(plansOf('prefer-local')).toEqual(['local', 'split', 'remote']);
  expect(() => plansOf('fastest' as Mode)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  expect(() => plansOf('toString' as Mode)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});

test('a failing tail leads home, a failing device leads away, a mistake leads nowhere', () => {
  const after = (code: ErrorCode, side: Failure['side'], plan: Plan) =>
    (['split', 'local', 'remote'] as const).filter(
      (next) => next !== plan && mayFallBack({ error: new IsthmusError(code, ''), side, plan }, next),
    );
  expect(after('OFFLINE', 'tail', 'split')).toEqual(['local']);
  expect(after('OFFLINE', 'tail', 'remote')).toEqual(['local']);
  expect(after('INFERENCE_FAILED', 'tail', 'split')).toEqual(['local']);
  expect(after('TOO_LARGE', 'tail', 'split')).toEqual(['local', 'remote']);
  expect(after('INFERENCE_FAILED', 'device', 'split')).toEqual(['remote']);
  expect(after('DEVICE_LOST', 'device', 'local')).toEqual(['split', 'remote']);
  expect(after('DOWNLOAD_FAILED', 'device', 'split')).toEqual(['remote']);
  expect(after('DOWNLOAD_FAILED', 'profile', 'split')).toEqual(['local', 'remote']);
  expect(after('CUT_INVALID', 'device', 'split')).toEqual(['local', 'remote']);
  for (const side of ['device', 'tail'] as const) expect(after('IMAGE_INVALID', side, 'split')).toEqual([]);
});
