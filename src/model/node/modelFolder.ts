// A model's folder on disk: manifest.json and the files it lists (segments, codec
// profiles). Written whole or not at all. Node only.
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { type CodecProfile, parseProfile } from '../../codec/profile.ts';
import { IsthmusError } from '../../errors.ts';
import { type CutInfo, type Manifest, parseManifest, sha256Hex } from '../manifest.ts';
import type { Partition } from '../partition.ts';

const MANIFEST = 'manifest.json';

/** A file of the folder as the manifest names it. */
type ModelPart = Pick<Manifest['segments'][number], 'file' | 'sha256' | 'bytes'>;

const absent = (thrown: unknown) => (thrown as NodeJS.ErrnoException).code === 'ENOENT';

/**
 * Reads a folder's manifest.
 *
 * @throws IsthmusError OPTION_INVALID when there is none; MANIFEST_INVALID.
 */
export async function readManifest(folder: string): Promise<Manifest> {
  let text: string;
  try {
    text = await readFile(join(folder, MANIFEST), 'utf8');
  } catch (cause) {
    throw new IsthmusError(
      'OPTION_INVALID',
      `${folder} holds no ${MANIFEST}. Give a folder that \`isthmus split\` has written.`,
      { cause },
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new IsthmusError(
      'MANIFEST_INVALID',
      `${join(folder, MANIFEST)} is no JSON. Split the model again.`,
      {
        cause,
      },
    );
  }
  return parseManifest(json);
}

/**
 * Writes a partition. The folder appears complete or stays as it was; an earlier split of any model is replaced.
 *
 * @throws IsthmusError OPTION_INVALID when the folder holds anything else.
 */
export async function writeModelFolder(folder: string, { manifest, files }: Partition): Promise<void> {
  const target = resolve(folder);
  const replaces = await checkReplaceable(target);
  const beside = (role: string) => join(dirname(target), `.${basename(target)}.${role}-${randomUUID()}`);
  const fresh = beside('new');
  const old = beside('old');
  try {
    await mkdir(dirname(target), { recursive: true });
    await mkdir(fresh);
    for (const [name, bytes] of files) await writeFile(join(fresh, name), bytes);
    await writeFile(join(fresh, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
    if (replaces) await rename(target, old);
    await rename(fresh, target).catch(async (thrown) => {
      if (replaces) await rename(old, target);
      throw thrown;
    });
  } catch (cause) {
    throw IsthmusError.from(
      cause,
      'OPTION_INVALID',
      `Cannot write to ${folder}; choose a folder that can be written`,
    );
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
  await rm(old, { recursive: true, force: true });
}

/**
 * Reads a file that the manifest names and checks that it is the one that was meant.
 *
 * @param remedy what to do when it is not
 * @throws IsthmusError INTEGRITY_MISMATCH
 */
export async function readPart(
  folder: string,
  part: ModelPart,
  remedy = 'Split the model again.',
): Promise<Uint8Array> {
  const bytes = await readFile(join(folder, part.file)).catch((cause: unknown) => {
    throw new IsthmusError('INTEGRITY_MISMATCH', `'${part.file}' is missing in ${folder}. ${remedy}`, {
      cause,
    });
  });
  if (bytes.length === part.bytes && (await sha256Hex(bytes)) === part.sha256) return bytes;
  throw new IsthmusError(
    'INTEGRITY_MISMATCH',
    `'${part.file}' in ${folder} is not what the manifest promises. ${remedy}`,
  );
}

/** The calibrated profile of a cut, checked; undefined where there is none. @throws INTEGRITY_MISMATCH, CODEC_INVALID */
export async function readCutProfile(
  folder: string,
  { profile }: CutInfo,
): Promise<CodecProfile | undefined> {
  if (!profile) return undefined;
  const file = await readPart(folder, profile, 'Calibrate the model again.');
  return parseProfile(file, profile.sha256.slice(0, 16));
}

/**
 * Replaces the manifest of a folder and adds `files` beside it, each in one step, the manifest last: whoever reads meanwhile
 * finds the old state or the new one, as long as `files` have names that are new with their content. Files that only the
 * old manifest named are removed.
 *
 * @throws IsthmusError OPTION_INVALID when the folder cannot be written to
 */
export async function updateModelFolder(
  folder: string,
  manifest: Manifest,
  files: ReadonlyMap<string, Uint8Array>,
): Promise<void> {
  const before = await splitFiles(folder);
  for (const [name, bytes] of files) await replaceFile(join(folder, name), bytes);
  await replaceFile(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 1)}\n`);
  const named = new Set(await splitFiles(folder));
  for (const name of before) if (!named.has(name)) await rm(join(folder, name), { force: true });
}

async function replaceFile(path: string, content: Uint8Array | string): Promise<void> {
  const fresh = `${path}.${randomUUID()}`;
  try {
    await writeFile(fresh, content);
    await rename(fresh, path);
  } catch (cause) {
    await rm(fresh, { force: true });
    throw IsthmusError.from(
      cause,
      'OPTION_INVALID',
      `Cannot write ${path}; choose a folder that can be written`,
    );
  }
}

/** Whether there is a folder to replace. Anything a split did not write is somebody's, and is not deleted. */
async function checkReplaceable(folder: string): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (thrown) {
    if (absent(thrown)) return false;
    throw new IsthmusError('OPTION_INVALID', `${folder} is no folder. Give another one with --out.`, {
      cause: thrown,
    });
  }
  if (names.length === 0) return true;
  const ours = new Set(await splitFiles(folder));
  const foreign = names.filter((name) => !ours.has(name));
  if (foreign.length === 0) return true;
  throw new IsthmusError(
    'OPTION_INVALID',
    `${folder} holds files that no split has written (${foreign.slice(0, 3).join(', ')}). Give an empty folder with --out.`,
  );
}

/** The files of an earlier split, by the folder's manifest; one of another release counts too, so no full check. */
async function splitFiles(folder: string): Promise<string[]> {
  try {
    const json = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as Partial<Manifest>;
    if (!json.format?.startsWith('isthmus-manifest/')) return [];
    const profiles = (json.cuts ?? []).flatMap(({ profile }) => (profile ? [profile.file] : []));
    const tasks = (json.tasks ?? []).flatMap((task) => task.segments);
    const exits = json.exits ?? [];
    return [MANIFEST, ...[...(json.segments ?? []), ...tasks, ...exits].map(({ file }) => file), ...profiles];
  } catch {
    return [];
  }
}
