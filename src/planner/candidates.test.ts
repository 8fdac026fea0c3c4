// Candidates of the embedded model: natural bottlenecks only, presets within the limit, and what the caller named.
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parseManifest } from '../model/manifest.ts';
import { candidatesOf } from './candidates.ts';

const file = new URL('../../models/neck10/manifest.json', import.meta.url);
const manifest = await parseManifest(JSON.parse(await readFile(file, 'utf8')));
const ids = (options?: Parameters<typeof candidatesOf>[1]) =>
  candidatesOf(manifest, options).map(({ id }) => id);

test('each cut weighs less than the cuts before it and than the picture', () => {
  const all = candidatesOf(manifest);
  const picture = all.find(({ plan }) => plan === 'remote')!.bytes;
  expect(all.length).toBeGreaterThanOrEqual(3);
  expect(all.length).toBeLessThanOrEqual(10);
  let before = picture;
  for (const cut of new Set(all.filter((c) => c.plan === 'split').map((c) => c.cut))) {
    const least = Math.min(...all.filter((c) => c.cut === cut).map((c) => c.bytes));
    expect(least).toBeLessThan(before);
    before = least;
  }
});

test('what loses more than the limit is left out, unless it was named', () => {
  for (const { accuracy } of candidatesOf(manifest)) expect(accuracy ?? 1).toBeGreaterThanOrEqual(0.96);
  expect(ids()).not.toContain('neck1/isthmus-small');
  expect(ids({ maxAccuracyLoss: 0.1 })).toContain('neck1/isthmus-small');
  expect(ids({ preset: 'isthmus-small' })).toContain('neck1/isthmus-small');
  const strict = candidatesOf(manifest, { maxAccuracyLoss: 0.005 });
  for (const { accuracy } of strict) expect(accuracy ?? 1).toBeGreaterThanOrEqual(0.995);
});

test('a named cut is the only one, even where it is no bottleneck', () => {
  const splits = candidatesOf(manifest, { cut: 0, preset: 'raw' }).filter(({ plan }) => plan === 'split');
  expect(splits.map(({ id }) => id)).toEqual(['stem_b/raw']);
});

test('a model that nobody calibrated has candidates all the same', () => {
  const bare = { ...manifest, cuts: manifest.cuts.map(({ calibration: _, ...cut }) => cut) };
  const all = candidatesOf(bare);
  expect(all.some(({ plan, preset }) => plan === 'split' && preset === 'isthmus')).toBe(true);
  expect(candidatesOf({ ...manifest, cuts: [] }).map(({ id }) => id)).toEqual(['local', 'remote']);
});
