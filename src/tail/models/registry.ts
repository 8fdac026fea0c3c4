// The models a tail serves: reads the manifests of a folder once, at start, and checks every segment's size and sha256
// before the first request. What is broken is named and left out. It runs nothing.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { type CodecProfile, parseProfile } from '../../codec/profile.ts';
import { IsthmusError } from '../../errors.ts';
import { parseManifest } from '../../model/manifest.ts';
import type { ModelFiles } from '../run/backend.ts';

export interface ServedModel extends ModelFiles {
  /** The manifest file as it is: fields that a later release adds reach clients that know them. */
  manifestText: string;
  /** Changes with the text too, since labels and calibration are no part of the model's id. */
  etag: string;
  /** Bytes of all segments. */
  bytes: number;
  /** Calibrated profiles of its cuts, by the names that frames give. */
  profiles: ReadonlyMap<string, CodecProfile>;
  /** Segments and files of profiles, by sha256. */
  artifacts: ReadonlyMap<string, Artifact>;
}

interface Artifact {
  bytes: number;
  /** Path of a segment; of a profile the content, since `isthmus calibrate` replaces the file of a model that is served. */
  source: string | Uint8Array<ArrayBuffer>;
}

export interface Registry {
  models: ReadonlyMap<string, ServedModel>;
  /** By sha256; only files that a loaded manifest names. */
  artifacts: ReadonlyMap<string, Artifact>;
  /** Models that could not be used, by folder name. */
  skipped: readonly { folder: string; error: IsthmusError }[];
}

/**
 * @param dir - a folder of model folders, or one model folder (it holds manifest.json)
 * @throws IsthmusError OPTION_INVALID when there is no such folder or no model in it; the first model's own error when
 *   none of them can be used.
 */
export async function loadRegistry(dir: string): Promise<Registry> {
  const folders = await modelFolders(resolve(dir));
  const models = new Map<string, ServedModel>();
  const artifacts = new Map<string, Artifact>();
  const skipped: { folder: string; error: IsthmusError }[] = [];
  for (const folder of folders) {
    try {
      const model = await loadModel(folder);
      const { name } = model.manifest;
      if (models.has(name))
        throw unusable(folder, 'MANIFEST_INVALID', `another folder has a model '${name}'`);
      models.set(name, model);
      for (const [sha256, artifact] of model.artifacts) artifacts.set(sha256, artifact);
    } catch (thrown) {
      const error = IsthmusError.from(thrown, 'MANIFEST_INVALID', `'${basename(folder)}' cannot be read.`);
      skipped.push({ folder: basename(folder), error });
    }
  }
  if (models.size > 0) return { models, artifacts, skipped };
  if (skipped[0]) throw skipped[0].error;
  throw new IsthmusError(
    'OPTION_INVALID',
    `'${dir}' holds no models: no manifest.json in it or in a folder below it. Make one with \`isthmus split\`.`,
  );
}

async function modelFolders(dir: string): Promise<string[]> {
  if (await isFile(join(dir, 'manifest.json'))) return [dir];
  const entries = await readdir(dir).catch((cause: unknown) => {
    throw new IsthmusError(
      'OPTION_INVALID',
      `The models folder '${dir}' cannot be read. Name a folder that exists.`,
      { cause },
    );
  });
  const folders: string[] = [];
  for (const entry of entries.sort()) {
    // What `isthmus split` has in hand (.name.new-…, .name.old-…) would else be served in place of the model itself.
    if (entry.startsWith('.')) continue;
    if (await isFile(join(dir, entry, 'manifest.json'))) folders.push(join(dir, entry));
  }
  return folders;
}

async function loadModel(folder: string): Promise<ServedModel> {
  const manifestText = await readFile(join(folder, 'manifest.json'), 'utf8');
  let json: unknown;
  try {
    json = JSON.parse(manifestText);
  } catch {
    throw unusable(folder, 'MANIFEST_INVALID', 'its manifest.json is no JSON');
  }
  const manifest = await parseManifest(json).catch((thrown: unknown) => {
    const error = IsthmusError.from(thrown, 'MANIFEST_INVALID', 'unexpected');
    throw unusable(folder, error.code, error.message, '');
  });
  const path = (segment: number) => join(folder, manifest.segments[segment]!.file);
  const artifacts = new Map<string, Artifact>();
  for (const [i, segment] of manifest.segments.entries()) {
    await checkFile(folder, segment, path(i));
    artifacts.set(segment.sha256, { bytes: segment.bytes, source: path(i) });
  }
  const profiles = new Map<string, CodecProfile>();
  for (const { profile } of manifest.cuts) {
    if (!profile) continue;
    const content = await readProfileFile(folder, profile);
    artifacts.set(profile.sha256, { bytes: profile.bytes, source: content });
    const name = profile.sha256.slice(0, 16);
    profiles.set(name, profileFrom(folder, profile.file, content, name));
  }
  const textHash = createHash('sha256').update(manifestText).digest('hex');
  return {
    manifest,
    manifestText,
    path,
    etag: `"${manifest.id}.${textHash.slice(0, 16)}"`,
    bytes: manifest.segments.reduce((sum, s) => sum + s.bytes, 0),
    profiles,
    artifacts,
  };
}

async function readProfileFile(
  folder: string,
  { file, bytes, sha256 }: PromisedFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const content = await readFile(join(folder, file)).catch(() => undefined);
  if (content?.length === bytes && createHash('sha256').update(content).digest('hex') === sha256)
    return new Uint8Array(content);
  const reason = `'${file}' is ${content ? 'not the codec profile that its manifest promises' : 'missing'}`;
  throw unusable(folder, 'INTEGRITY_MISMATCH', reason, 'Make it anew with `isthmus calibrate`.');
}

function profileFrom(folder: string, file: string, content: Uint8Array, name: string): CodecProfile {
  try {
    return parseProfile(content, name);
  } catch (thrown) {
    const { code, message } = IsthmusError.from(thrown, 'CODEC_INVALID', 'it cannot be read');
    throw unusable(folder, code, `'${file}': ${message}`, '');
  }
}

/** A file that a manifest names, with what the manifest says of it. */
interface PromisedFile {
  file: string;
  bytes: number;
  sha256: string;
}

async function checkFile(folder: string, { file, bytes, sha256 }: PromisedFile, path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw unusable(folder, 'INTEGRITY_MISMATCH', `'${file}' is missing`);
  if (found.size !== bytes) {
    throw unusable(
      folder,
      'INTEGRITY_MISMATCH',
      `'${file}' has ${found.size} bytes, its manifest says ${bytes}`,
    );
  }
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  if (hash.digest('hex') !== sha256) {
    throw unusable(
      folder,
      'INTEGRITY_MISMATCH',
      `'${file}' does not have the sha256 that its manifest promises`,
    );
  }
}

/** @param remedy a sentence after `reason`; empty where the reason is a whole sentence that names one */
function unusable(
  folder: string,
  code: IsthmusError['code'],
  reason: string,
  remedy = 'Make it anew with `isthmus split`.',
): IsthmusError {
  const why = remedy === '' ? reason : `${reason}. ${remedy}`;
  return new IsthmusError(code, `The model in folder '${basename(folder)}' cannot be served: ${why}`);
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (s) => s.isFile(),
    () => false,
  );
}
