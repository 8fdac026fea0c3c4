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
  const bare = {
    ...manifest,
    uploads: undefined,
    cuts: manifest.cuts.map(({ calibration: _, ...cut }) => cut),
  };
  const all = candidatesOf(bare);
  expect(all.some(({ plan, preset }) => plan === 'split' && preset === 'isthmus')).toBe(true);
  expect(candidatesOf({ ...bare, cuts: [] }).map(({ id }) => id)).toEqual(['local', 'remote']);
});

test('uploads: the smallest quality that keeps the limit, the one that was named, else the usual one', () => {
  const remote = (options?: Parameters<typeof candidatesOf>[1], of = manifest) =>
    candidatesOf(of, options).find(({ plan }) => plan === 'remote')!;
  const lax = remote({ maxAccuracyLoss: 0.1 });
  const usual = remote();
  const strict = remote({ maxAccuracyLoss: 0.01 });
  expect(lax.bytes).toBeLessThan(usual.bytes);
  expect(usual.bytes).toBeLessThan(strict.bytes);
  for (const [loss, { accuracy }] of [[0.1, lax] as const, [0.04, usual] as const, [0.01, strict] as const])
    expect(1 - accuracy!).toBeLessThanOrEqual(loss);
  // What nothing keeps is told, and left to the limits.
  expect(remote({ maxAccuracyLoss: -1 }).accuracy).toBe(1);
  expect(remote({ upload: { format: 'webp' } }).id).toMatch(/^remote\/webp-0\.\d+$/);
  const named = remote({ upload: { format: 'jpeg', quality: 0.85 } });
  expect(named).toMatchObject({ id: 'remote', quality: 0.85, accuracy: 0.9937 });
  expect(named.bytes).toBeCloseTo(4678.3);
  // Between two that were measured: no worse than the coarser one.
  expect(remote({ upload: { format: 'jpeg', quality: 0.8 } }).accuracy).toBe(0.9811);
  expect(remote({ upload: { format: 'jpeg', quality: 0.1 } }).accuracy).toBeUndefined();
  const bare = remote(undefined, { ...manifest, uploads: undefined });
  expect(bare).toMatchObject({ id: 'remote', quality: 0.85 });
  expect(bare.accuracy).toBeUndefined();
});

test('a format that nobody named: JPEG, and WebP beside it where it can be written, is calibrated and is smaller', () => {
  const remotes = (options: Parameters<typeof candidatesOf>[1] = {}, of = manifest) =>
    candidatesOf(of, { ...options, upload: { writable: ['jpeg', 'webp'], ...options.upload } })
      .filter(({ plan }) => plan === 'remote')
      .map(({ id }) => id);
  expect(ids().filter((id) => id.startsWith('remote'))).toEqual(['remote/jpeg-0.5']);
  expect(remotes()).toEqual(['remote/jpeg-0.5', 'remote/webp-0.5']);
  // What was there before stays: a cut larger than the WebP may still be worth less waiting than its writing.
  expect(candidatesOf(manifest, { upload: { writable: ['jpeg', 'webp'] } })).toEqual(
    expect.arrayContaining(candidatesOf(manifest)),
  );
  expect(remotes({ maxAccuracyLoss: 0.01 })).toEqual(['remote/jpeg-0.85']); // WebP would be larger
  expect(remotes({ maxAccuracyLoss: 0.002 })).toEqual(['remote/jpeg-0.95']); // no WebP is that good
  for (const format of ['jpeg', 'webp'] as const) {
    expect(remotes({ upload: { format } })).toEqual([`remote/${format}-0.5`]);
    expect(remotes({ upload: { format, quality: 0.85 } })).toEqual(['remote']);
  }
  expect(remotes({ upload: { quality: 0.85 } })).toEqual(['remote', 'remote/webp-0.85']);
  expect(remotes({ upload: { quality: 0.85 }, maxAccuracyLoss: 0.01 })).toEqual(['remote']);
  expect(remotes({ upload: { quality: 0.1 } })).toEqual(['remote']); // nobody knows what it loses
  expect(remotes({}, { ...manifest, uploads: undefined })).toEqual(['remote']);
  const settings = manifest.uploads!.settings.filter(({ format }) => format === 'webp');
  const only = { ...manifest, uploads: { encoder: '', settings } };
  expect(remotes({}, only)).toEqual(['remote/webp-0.5']);
  expect(remotes({ upload: { writable: ['jpeg'] } }, only)).toEqual(['remote']);
});

test('tensors travel as they are', () => {
  const { preprocess: _, ...tensors } = manifest;
  expect(candidatesOf(tensors).find(({ plan }) => plan === 'remote')).toMatchObject({
    preset: 'raw',
    accuracy: 1,
  });
});
