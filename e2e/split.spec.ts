// The heart of the matter: what a page answers through head, codec, link and tail equals what the whole model says.
// Every cut of every served model, on WebGPU (software adapter) and on wasm.
import { expect, type Page } from '@playwright/test';
import { decodeTensor } from '../src/codec/cpu/decode.ts';
import type { PresetName } from '../src/codec/params.ts';
import type { CodecProfile } from '../src/codec/profile.ts';
import type { Tensor } from '../src/tensor.ts';
import { readFrame } from '../src/wire/readFrame.ts';
import { type Globals, openPage, pictures, test } from './fixtures.ts';
import { readProfiles } from './profiles.ts';
import { argmax, referenceTensor, relativeDifference, runFromCut, runWhole } from './reference.ts';

/** One preset of each lossy family; `isthmus` takes the cut's calibrated profile where there is one. */
const FAMILIES = ['slicer', 'rans', 'isthmus'] as const;

/** Opens a session inside the page and keeps it there. */
async function openSession(
  page: Page,
  endpoint: string,
  device: 'webgpu' | 'wasm',
): Promise<Globals['session']['manifest']> {
  return page.evaluate(
    async ([url, wanted]) => {
      const g = globalThis as unknown as Globals;
      g.session = await g.isthmus.connect(url, { device: wanted, mode: 'only-split', transport: 'fetch' });
      return g.session.manifest;
    },
    [endpoint, device] as const,
  );
}

/** Runs one picture or tensor in the page; hands back the frame it sent, decoded, beside its answer. */
async function runInPage(
  page: Page,
  input: { photo: Buffer } | { tensor: Tensor; name: string },
  cut: string,
  codec: PresetName,
  profiles: ReadonlyMap<string, CodecProfile>,
) {
  const sent = page.waitForRequest(
    (request) => request.method() === 'POST' && request.url().endsWith('/infer'),
  );
  const answer = page.evaluate(
    async ([given, options]) => {
      const { session } = globalThis as unknown as Globals;
      const source =
        'photo' in given
          ? new Blob([Uint8Array.from(atob(given.photo), (c) => c.charCodeAt(0))])
          : {
              [given.name]: {
                dtype: 'float32' as const,
                shape: given.shape,
                data: Float32Array.from(given.values),
              },
            };
      const { outputs, report } = await session.run(source, options);
      return { logits: Array.from(Object.values(outputs)[0]!.data as Float32Array), report };
    },
    [
      'photo' in input
        ? { photo: input.photo.toString('base64') }
        : {
            name: input.name,
            shape: [...input.tensor.shape],
            values: Array.from(input.tensor.data as Float32Array),
          },
      { cut, codec },
    ] as const,
  );
  const body = (await sent).postDataBuffer();
  const frame = readFrame(new Uint8Array(body!));
  return {
    ...(await answer),
    feature: frame.tensors.map((tensor) => decodeTensor(tensor, { profiles: (name) => profiles.get(name) })),
    encoded: frame.tensors,
    bytes: body!.byteLength,
  };
}

/** A reproducible input tensor with values like a normalised photo's. */
function pseudoPhoto(shape: readonly number[]): Tensor {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  let state = 12345;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    data[i] = Math.sin(i / 37) + (state / 2 ** 32 - 0.5);
  }
  return { dtype: 'float32', shape, data };
}

for (const device of ['wasm', 'webgpu'] as const) {
  test.describe(`heads on ${device}`, () => {
    test('every cut: the answer is the whole model fed with the decoded feature', async ({ page, tail }) => {
      test.setTimeout(600_000);
      await openPage(page, tail.url);
      for (const { name, dataset } of tail.models) {
        // A software adapter needs seconds per picture on the larger models: there, one of them is taken, and its deepest cut
        // stands for all, whose head runs every segment that the others run, with one preset (wasm takes all; so does this with ISTHMUS_ALL_CUTS=1).
        const slow = device === 'webgpu' && name !== 'neck10' && !process.env.ISTHMUS_ALL_CUTS;
        if (slow && name !== 'squeezenet1.1') continue;
        const photos = await pictures(dataset, name === 'neck10' && device === 'wasm' ? 2 : 1);
        const manifest = await openSession(page, `${tail.url}/models/${name}`, device);
        const input = pseudoPhoto(manifest.inputs[0]!.shape.map((d) => (typeof d === 'number' ? d : 1)));
        const truth = await runWhole(name, input);
        const { ofCut, byName } = await readProfiles(tail.url, manifest);
        const cuts = slow ? manifest.cuts.slice(-1) : manifest.cuts;
        for (const cut of cuts) {
          const lossless = await runInPage(
            page,
            { tensor: input, name: manifest.inputs[0]!.name },
            cut.name,
            'raw',
            byName,
          );
          expect(lossless.report.ran).toBe('split');
          expect(lossless.report.bytes.up).toBe(lossless.bytes);
          expect(
            relativeDifference(lossless.logits, truth),
            `${name} ${cut.name} raw against the whole model`,
          ).toBeLessThan(1e-4);

          const profile = ofCut.get(cut.name);
          const families = slow ? FAMILIES.slice(-1) : FAMILIES;
          const tallies = families.map((preset) => ({ preset, agree: 0, bytes: 0 }));
          let worst = 0;
          for (const { bytes: photo } of photos) {
            const raw = await runInPage(page, { photo }, cut.name, 'raw', byName);
            const check = async ({ logits, feature }: typeof raw) => {
              const expected = await runFromCut(name, cut.name, feature);
              worst = Math.max(worst, relativeDifference(logits, expected));
              expect(argmax(logits)).toBe(argmax(expected));
            };
            await check(raw);
            for (const tally of tallies) {
              const packed = await runInPage(page, { photo }, cut.name, tally.preset, byName);
              await check(packed);
              // The page's encoder (WGSL, WASM or TypeScript) against the slow reference, on a real feature.
              expect(packed.encoded, `${name} ${cut.name} ${tally.preset}: bytes of the reference`).toEqual(
                raw.feature.map((t) => referenceTensor(t, tally.preset, profile)),
              );
              tally.agree += Number(argmax(raw.logits) === argmax(packed.logits));
              tally.bytes += packed.bytes;
            }
          }
          expect(worst, `${name} ${cut.name} against the tail of the whole model`).toBeLessThan(1e-4);
          console.log(
            `${device} ${name} ${cut.name}: worst relative difference ${worst.toExponential(1)}; of ${photos.length} answers like raw's, and bytes of ${cut.rawBytes}: ` +
              tallies
                .map((t) => `${t.preset} ${t.agree}, ${Math.round(t.bytes / photos.length)} B`)
                .join('; '),
          );
        }
        await page.evaluate(() => (globalThis as unknown as Globals).session.close());
      }
    });
  });
}
