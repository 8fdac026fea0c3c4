// The calibrated profile of a cut on its way into the frame: fetched when first wanted, verified, kept for the next visit, used
// alike on both devices, and named by the frame. What cannot be fetched or read says so, and the next call tries again.
import { expect, test } from 'vitest';
import { decodeTensor } from '../codec/cpu/decode.ts';
import { encodeTensor } from '../codec/cpu/encode.ts';
import { type CodecParams, PRESETS } from '../codec/params.ts';
import { parseProfile, writeProfile } from '../codec/profile.ts';
import { MADE_PROFILES } from '../codec/reference/isthmusProfiles.ts';
import { type Manifest, sha256Hex } from '../model/manifest.ts';
import { readFrame } from '../wire/readFrame.ts';
import { createBrowserRuntime } from './browserRuntime.ts';
import type { RuntimeInput } from './runtime.ts';
import { ModelStore } from './store/modelStore.ts';
import { SegmentCache } from './store/segmentCache.ts';
import { noise, serveFiles, tinyModel } from './tinyModel.fixture.ts';

const { manifest, files } = await tinyModel();
const input: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 3, 32, 32], data: noise(3072, 7) } },
};

/** The model with a profile at its second cut, whose feature is [1, 16, 8, 8]. */
async function calibrated(content: Uint8Array) {
  const profile = { file: 'b.ispr', sha256: await sha256Hex(content), bytes: content.length };
  const [first, second] = manifest.cuts;
  const model: Manifest = { ...manifest, cuts: [first!, { ...second!, profile }] };
  return { model, sha256: profile.sha256 };
}

/** A seed of its own gives every test a profile that no cache has. */
const contentOf = (step: number) => writeProfile({ ...MADE_PROFILES.usual, step });

async function runtimeOn(
  device: 'webgpu' | 'wasm',
  model: Manifest,
  served: ReadonlyMap<string, Uint8Array>,
) {
  const store = new ModelStore({ fetch: serveFiles(served), backoffMs: 1 });
  const runtime = await createBrowserRuntime({ device, store });
  await runtime.load({ manifest: model, artifacts: '/artifacts' }, 1);
  const head = async (codec: CodecParams = PRESETS.isthmus) =>
    readFrame((await runtime.head(input, 1, codec)).frame).tensors[0]!;
  return { runtime, head };
}

test.each(['webgpu', 'wasm'] as const)(
  '%s: the frame is made with the profile and names it',
  async (device) => {
    const content = contentOf(device === 'wasm' ? 901 : 902);
    const { model, sha256 } = await calibrated(content);
    const { runtime, head } = await runtimeOn(device, model, new Map([...files, [sha256, content]]));
    const profile = parseProfile(content, sha256.slice(0, 16));
    const feature = decodeTensor(await head(PRESETS.raw));
    for (const codec of [PRESETS.isthmus, { family: 'isthmus', quality: 70 }] as const)
      expect(await head(codec)).toEqual(encodeTensor(feature, { ...codec, profile }));
    // Who decides more than how fine decides alone.
    const own = { family: 'isthmus', transform: 'none' } as const;
    expect(await head(own)).toEqual(encodeTensor(feature, own));
    await runtime.close();

    // The next visit needs no network for it.
    const again = await runtimeOn(device, model, files);
    expect(await again.head()).toEqual(encodeTensor(feature, { family: 'isthmus', profile }));
    await again.runtime.close();
    await new SegmentCache().drop(sha256);
  },
);

test('a profile that is not served, is another one, is none or that of another cut: refused by code, and tried again', async () => {
  const content = contentOf(903);
  const { model, sha256 } = await calibrated(content);
  const served = new Map(files);
  const { runtime, head } = await runtimeOn('wasm', model, served);
  await expect(head()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  served.set(sha256, content.slice().fill(7, 300, 301));
  await expect(head()).rejects.toMatchObject({ code: 'INTEGRITY_MISMATCH' });
  expect((await head(PRESETS.slicer)).family).toBe('slicer'); // needs none
  served.set(sha256, content);
  expect(
    [...(await head()).params.subarray(8, 16)].map((b) => b.toString(16).padStart(2, '0')).join(''),
  ).toBe(sha256.slice(0, 16));
  await runtime.close();

  const garbage = Uint8Array.of(1, 2, 3, 4);
  const wrong = await calibrated(garbage);
  const other = await runtimeOn('wasm', wrong.model, new Map([...files, [wrong.sha256, garbage]]));
  await expect(other.head()).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  await other.runtime.close();

  const { neighbours } = MADE_PROFILES; // for blocks of 7 × 7
  const misfit = writeProfile({ ...neighbours, step: 904 });
  const foreign = await calibrated(misfit);
  const third = await runtimeOn('wasm', foreign.model, new Map([...files, [foreign.sha256, misfit]]));
  await expect(third.head()).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  await third.runtime.close();
  for (const name of [sha256, wrong.sha256, foreign.sha256]) await new SegmentCache().drop(name);
});
