// Labelled pictures for the benchmarks, as listed in the data folder; without one, the sample pictures of this repository.
// Only those that src/calibrate/pictures.ts leaves for the test: no codec profile has seen them.
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Labelled {
  path: string;
  /** Index into the model's classes; undefined where nobody labelled the picture. */
  label?: number;
}

/** The repository (from source) or the installed package (from dist/): whichever holds `models/`. */
export const packageRoot = fileURLToPath(new URL('..', import.meta.url));

const byName = (a: string, b: string) => (a < b ? -1 : 1);

/**
 * Two of three pictures of the held-out tenth of imagenette-train-160 (every tenth file of each class by name), classes taken
 * in turn.
 */
async function imagenetteHeldOut(data: string, limit: number): Promise<Labelled[]> {
  const folder = join(data, 'images', 'imagenette-train-160');
  const classes = (await readdir(folder, { withFileTypes: true }))
    .filter((e) => e.isDirectory())
    .map((e) => e.name)
    .sort(byName);
  const perClass = await Promise.all(
    classes.map(async (name, label) => {
      const files = (await readdir(join(folder, name)))
        .sort(byName)
        .filter((_, i) => i % 10 === 0 && (i / 10) % 3 !== 1);
      return files.map((file) => ({ path: join(folder, name, file), label }));
    }),
  );
  return interleave(perClass, limit);
}

/** Three of five pictures of imagenet-sample-500, spread evenly over the classes. */
async function imagenetSample(data: string, limit: number): Promise<Labelled[]> {
  const folder = join(data, 'images', 'imagenet-sample-500');
  const labels = Object.entries(
    JSON.parse(await readFile(join(folder, 'labels.json'), 'utf8')) as Record<string, number>,
  ).filter((_, i) => i % 5 >= 2);
  const step = Math.max(1, Math.floor(labels.length / limit));
  return labels
    .filter((_, i) => i % step === 0)
    .slice(0, limit)
    .map(([file, label]) => ({ path: join(folder, file), label }));
}

/** The drawn pictures in public/samples; their file names begin with the class index where there is one. */
async function ownSamples(): Promise<Labelled[]> {
  const folder = join(packageRoot, 'public', 'samples');
  if (!existsSync(folder)) return [];
  const files = (await readdir(folder)).filter((file) => /\.(jpe?g|png|webp)$/i.test(file)).sort(byName);
  return files.map((file) => ({ path: join(folder, file) }));
}

function interleave<T>(lists: readonly (readonly T[])[], limit: number): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  const all: T[] = [];
  for (let i = 0; i < longest && all.length < limit; i++) {
    for (const list of lists) if (i < list.length && all.length < limit) all.push(list[i]!);
  }
  return all;
}

export type Dataset = 'imagenette' | 'imagenet';

/** At most `limit` pictures of a data set, or the repository's own samples when there is no data folder. */
export async function loadDataset(
  dataset: Dataset,
  data: string | undefined,
  limit: number,
): Promise<Labelled[]> {
  if (!data) return (await ownSamples()).slice(0, limit);
  return dataset === 'imagenette' ? imagenetteHeldOut(data, limit) : imagenetSample(data, limit);
}
