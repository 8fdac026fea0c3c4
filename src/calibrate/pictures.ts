// A labelled folder of pictures, parted into those a profile is made from and those it is measured on; the two never
// overlap, and both are spread over the classes. It opens no picture.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { IsthmusError } from '../errors.ts';

export interface LabelledPicture {
  path: string;
  /** Index into the model's classes. */
  label: number;
}

export interface PictureSets {
  calibration: LabelledPicture[];
  test: LabelledPicture[];
}

/**
 * Either `labels.json` ({ file: class index }) lies beside the pictures: of every five, in its order, the first two serve
 * calibration. Or there is one sub-folder per class, classes by name: every tenth picture by name is for the test.
 *
 * @throws IsthmusError OPTION_INVALID when the folder is neither, or has too few pictures
 */
export async function labelledPictures(
  folder: string,
  limits: { calibration: number; test: number },
): Promise<PictureSets> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw unusable(folder, 'cannot be read', cause);
  });
  const sets = entries.some((e) => e.isFile() && e.name === 'labels.json')
    ? await byFile(folder)
    : await byFolder(
        folder,
        entries.filter((e) => e.isDirectory()).map((e) => e.name),
      );
  const calibration = spread(sets.calibration, limits.calibration);
  const test = spread(sets.test, limits.test);
  if (calibration.length < 4 || test.length === 0)
    throw unusable(
      folder,
      `has only ${calibration.length} pictures for calibration and ${test.length} for the test`,
    );
  return { calibration, test };
}

async function byFile(folder: string): Promise<PictureSets> {
  let labels: unknown;
  try {
    labels = JSON.parse(await readFile(join(folder, 'labels.json'), 'utf8'));
  } catch (cause) {
    throw unusable(folder, 'has a labels.json that is no JSON', cause);
  }
  const entries = Object.entries(labels as Record<string, unknown>);
  const pictures = entries.map(([file, label]): LabelledPicture => {
    if (typeof label !== 'number' || !Number.isInteger(label) || label < 0)
      throw unusable(folder, `has a labels.json whose '${file}' is no class index`);
    return { path: join(folder, file), label };
  });
  return {
    calibration: pictures.filter((_, i) => i % 5 < 2),
    test: pictures.filter((_, i) => i % 5 >= 2),
  };
}

async function byFolder(folder: string, names: string[]): Promise<PictureSets> {
  const classes = await Promise.all(
    names.sort(byName).map(async (name, label) => {
      const files = (await readdir(join(folder, name))).filter((file) => !file.startsWith('.')).sort(byName);
      return files.map((file): LabelledPicture => ({ path: join(folder, name, file), label }));
    }),
  );
  const part = (wanted: (i: number) => boolean) =>
    interleave(classes.map((pictures) => pictures.filter((_, i) => wanted(i))));
  return { calibration: part((i) => i % 10 !== 0), test: part((i) => i % 10 === 0) };
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
