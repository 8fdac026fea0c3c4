// A labelled folder of pictures, parted into those a profile is fitted to, those that decide on its step, and those it is
// measured on; no two overlap, and all are spread over the classes. It opens no picture.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../errors.ts';

export interface LabelledPicture {
  path: string;
  /** Index into the model's classes. */
  label: number;
}

export type PictureUse = 'fit' | 'trial' | 'test';

/**
 * Either `labels.json` ({ file: class index }) lies beside the pictures: of every five, in its order, one is fitted to, one
 * is for trials, three are for the test. Or there is one sub-folder per class, classes by name: a model has usually been
 * trained on all but every tenth picture, and is too sure about those to judge a loss by them; so they are fitted to, and
 * of every three others one is for trials and two for the test.
 *
 * @param classes how many the model tells apart, where it tells any: labels of other models would make its figures wrong
 * @throws IsthmusError OPTION_INVALID when the folder is neither, has too few pictures, or other classes
 */
export async function labelledPictures(
  folder: string,
  limits: Readonly<Record<PictureUse, number>>,
  classes?: number,
): Promise<Record<PictureUse, LabelledPicture[]>> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw unusable(folder, 'cannot be read', cause);
  });
  const pictures = entries.some((e) => e.isFile() && e.name === 'labels.json')
    ? await byFile(folder, classes)
    : await byFolder(
        folder,
        entries.filter((e) => e.isDirectory() && !e.name.startsWith('.')).map((e) => e.name),
        classes,
      );
  const chosen = { fit: part('fit'), trial: part('trial'), test: part('test') };
  const { fit, trial, test } = chosen;
  if (fit.length < 4 || trial.length === 0 || test.length === 0)
    throw unusable(
      folder,
      `has only ${fit.length} pictures to fit to, ${trial.length} for trials and ${test.length} for the test`,
    );
  return chosen;

  function part(use: PictureUse): LabelledPicture[] {
    return spread(
      pictures.filter((p) => p.use === use).map(({ picture }) => picture),
      limits[use],
    );
  }
}

interface Sorted {
  use: PictureUse;
  picture: LabelledPicture;
}

async function byFile(folder: string, classes = Number.POSITIVE_INFINITY): Promise<Sorted[]> {
  let labels: unknown;
  try {
    labels = JSON.parse(await readFile(join(folder, 'labels.json'), 'utf8'));
  } catch (cause) {
    throw unusable(folder, 'has a labels.json that is no JSON', cause);
  }
  if (typeof labels !== 'object' || labels === null || Array.isArray(labels))
    throw unusable(folder, 'has a labels.json that is no object');
  return Object.entries(labels).map(([file, label], i): Sorted => {
    if (typeof label !== 'number' || !Number.isInteger(label) || label < 0)
      throw unusable(folder, `has a labels.json whose '${file}' is no class index`);
    if (label >= classes)
      throw unusable(folder, `has a labels.json with class ${label}, but the model has ${classes} classes`);
    const use = (['fit', 'trial'] as const)[i % 5] ?? 'test';
    return { use, picture: { path: join(folder, file), label } };
  });
}

async function byFolder(folder: string, names: string[], count = names.length): Promise<Sorted[]> {
  if (names.length > 0 && names.length !== count)
    throw unusable(folder, `has ${names.length} sub-folders, but the model has ${count} classes`);
  const classes = await Promise.all(
    names.sort(byName).map(async (name, label) => {
      const files = (await readdir(join(folder, name))).filter((file) => !file.startsWith('.')).sort(byName);
      return files.map((file, i): Sorted => {
        const heldOut = (i / 10) % 3 === 1 ? 'trial' : 'test';
        return { use: i % 10 === 0 ? heldOut : 'fit', picture: { path: join(folder, name, file), label } };
      });
    }),
  );
  return interleave(classes);
}

const byName = (a: string, b: string) => (a < b ? -1 : 1);

/** Classes in turn. */
function interleave<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map((list) => list.length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}

/** At most `limit` of them, at even distances. */
function spread<T>(all: readonly T[], limit: number): T[] {
  const count = Math.min(limit, all.length);
  return Array.from({ length: count }, (_, i) => all[Math.floor((i * all.length) / count)]!);
}

function unusable(folder: string, reason: string, cause?: unknown): IsthmusError {
  return new IsthmusError(
    'OPTION_INVALID',
    `The pictures folder ${folder} ${reason}. Give one with labels.json ({"file": class index}), or with one sub-folder of pictures per class.`,
    { cause },
  );
}
