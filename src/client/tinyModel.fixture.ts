// A photo classifier of a few hundred weights, split by the real partitioner into a folder that a real tail can serve.
// For the tests of the client, the Node runtime and `isthmus run`; not part of the package.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { partition } from '../model/index.ts';
import type { Manifest } from '../model/manifest.ts';
import { tinyNet } from '../model/testGraphs.fixture.ts';

export interface TinyModel extends AsyncDisposable {
  /** Folder of models, to be served. */
  folder: string;
  manifest: Manifest;
  /** Path of one of its files. */
  path(file: string): string;
  /** The whole model before it was split. */
  whole: Uint8Array;
}

/** Pictures of 16×16 to five classes, in three segments with the cuts `r1` and `p`. */
export async function tinyModel(name = 'tiny'): Promise<TinyModel> {
  const whole = tinyNet();
  const { manifest, files } = await partition(whole, {
    name,
    cuts: ['r1', 'p'],
    preprocess: 'symmetric',
    labels: ['ant', 'bee', 'cat', 'dog', 'elk'],
  });
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-tiny-'));
  const path = (file: string) => join(folder, name, file);
  await mkdir(join(folder, name));
  for (const [file, bytes] of files) await writeFile(path(file), bytes);
  await writeFile(path('manifest.json'), JSON.stringify(manifest));
  const dispose = () => rm(folder, { recursive: true, force: true });
  return { folder, manifest, path, whole, [Symbol.asyncDispose]: dispose };
}

/** A photo of nothing: smooth colours, reproducible, as a file. */
export async function drawnPicture(
  format: 'jpeg' | 'png' = 'png',
  width = 60,
  height = 40,
): Promise<Uint8Array> {
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    data[3 * i] = 128 + 120 * Math.sin(x / 9);
    data[3 * i + 1] = 128 + 120 * Math.cos(y / 7);
    data[3 * i + 2] = (3 * (x + y)) & 255;
  }
  const file = await sharp(data, { raw: { width, height, channels: 3 } })
    .toFormat(format)
    .toBuffer();
  return new Uint8Array(file);
}
