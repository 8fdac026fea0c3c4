// One model folder made ready to be served: manifest, segments and profiles, each checked against size and sha256. The files
// stay open, so that what was checked stays readable when the folder is replaced. It runs nothing.
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, read } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { type CodecProfile, misfit, parseProfile, viewOf } from '../../codec/profile.ts';
import { IsthmusError } from '../../errors.ts';
import { type CutInfo, concreteShape, type Manifest, modelTag, parseManifest } from '../../model/manifest.ts';
import type { ModelFiles } from '../run/backend.ts';

const readAt = promisify(read);

export interface ServedModel extends ModelFiles {
  /** What frames of this version carry: the first 16 hex digits of its id. */
  tag: string;
  /** Its folder below the folder of models, as in `neck10@2`; versions are ordered by it. */
  version: string;
  /** The manifest file as it is: fields that a later release adds reach clients that know them. */
  manifestText: string;
  /** Changes with the text too, since labels and calibration are no part of the model's id. */
  etag: string;
  /** Bytes of all segments, those of tasks included. */
  bytes: number;
  /** Calibrated profiles of its cuts, by the names that frames give. */
  profiles: ReadonlyMap<string, CodecProfile>;
  /** Segments, exits and files of profiles, by sha256. */
  artifacts: ReadonlyMap<string, Artifact>;
  /** True once a newer state of the folder has taken its place: it is answered for a while only. */
  retired: boolean;
}

export interface Artifact {
  bytes: number;
  /** Path of a segment; of a profile the content, since `isthmus calibrate` replaces the file of a model that is served. */
  source: string | Uint8Array<ArrayBuffer>;
  /** The segment's file, open: it can still be read from here when there is another file, or none, at the path. */
  fd?: number;
  /** Downloads that read it just now, and whether it is to be closed after the last of them. */
  readers?: number;
  leaving?: boolean;
}

/** A file that a manifest names, with what the manifest says of it. */
type PromisedFile = Pick<Manifest['segments'][number], 'file' | 'bytes' | 'sha256'>;

/**
 * @param folder - holds manifest.json and the files it names
 * @param version - the folder's name below the folder of models
 * @throws IsthmusError MANIFEST_INVALID, INTEGRITY_MISMATCH, CODEC_INVALID; the message names the folder and a remedy
 */
export async function loadServedModel(folder: string, version = basename(folder)): Promise<ServedModel> {
  const manifestText = await readFile(join(folder, 'manifest.json'), 'utf8').catch((cause: unknown) => {
    throw unusable(folder, 'MANIFEST_INVALID', 'its manifest.json cannot be read', undefined, cause);
  });
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
  const artifacts = new Map<string, Artifact>();
  try {
    const segments = [...manifest.segments, ...(manifest.tasks ?? []).flatMap((task) => task.segments)];
    for (const segment of [...segments, ...(manifest.exits ?? [])]) {
      const known = artifacts.get(segment.sha256);
      if (known?.bytes === segment.bytes) continue;
      const path = join(folder, segment.file);
      const fd = await openChecked(folder, segment, path);
      artifacts.set(segment.sha256, { bytes: segment.bytes, source: path, fd });
    }
    const profiles = new Map<string, CodecProfile>();
    for (const cut of manifest.cuts) {
      if (!cut.profile) continue;
      const content = await readProfileFile(folder, cut.profile);
      const name = cut.profile.sha256.slice(0, 16);
      artifacts.set(cut.profile.sha256, { bytes: cut.profile.bytes, source: content });
      profiles.set(name, profileFrom(folder, cut, content, name));
    }
    const textHash = createHash('sha256').update(manifestText).digest('hex');
    return {
      manifest,
      tag: modelTag(manifest),
      version,
      manifestText,
      path: (segment) => join(folder, manifest.segments[segment]!.file),
      fd: (sha256) => artifacts.get(sha256)?.fd,
      etag: `"${manifest.id}.${textHash.slice(0, 16)}"`,
      bytes: segments.reduce((sum, s) => sum + s.bytes, 0),
      profiles,
      artifacts,
      retired: false,
    };
  } catch (thrown) {
    closeFiles({ artifacts });
    throw thrown;
  }
}

/**
 * Lets go of the open files; the model must not be asked for anything afterwards. A file that is being downloaded stays open to its
 * end: a slow client would be cut, or, once another file has the number, be sent that one.
 */
export function closeFiles({ artifacts }: Pick<ServedModel, 'artifacts'>): void {
  for (const artifact of artifacts.values()) {
    if (artifact.fd === undefined) continue;
    if (artifact.readers) artifact.leaving = true;
    else closeSync(artifact.fd);
  }
}

/** Keeps an artifact's file open. @returns how to let go of it; once */
export function holdFile(artifact: Artifact): () => void {
  artifact.readers = (artifact.readers ?? 0) + 1;
  return () => {
    artifact.readers!--;
    if (artifact.readers === 0 && artifact.leaving) closeSync(artifact.fd!);
  };
}

/** @returns the file, open, once it is clear that it is the one that the manifest means */
async function openChecked(
  folder: string,
  { file, bytes, sha256 }: PromisedFile,
  path: string,
): Promise<number> {
  const mismatch = (how: string) => unusable(folder, 'INTEGRITY_MISMATCH', `'${file}' ${how}`);
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw mismatch(code === 'ENOENT' ? 'is missing' : `cannot be opened (${code})`);
  }
  try {
    const found = fstatSync(fd);
    if (!found.isFile()) throw mismatch('is no file');
    if (found.size !== bytes) throw mismatch(`has ${found.size} bytes, its manifest says ${bytes}`);
    const hash = createHash('sha256');
    // Not through a stream of Node: that closes the file when reading fails, and then its number is not ours to close.
    const chunk = Buffer.allocUnsafe(1 << 20);
    for (let at = 0, got = 1; got > 0; at += got) {
      ({ bytesRead: got } = await readAt(fd, chunk, 0, chunk.length, at));
      hash.update(chunk.subarray(0, got));
    }
    if (hash.digest('hex') !== sha256) throw mismatch('does not have the sha256 that its manifest promises');
    return fd;
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}

async function readProfileFile(
  folder: string,
  { file, bytes, sha256 }: PromisedFile,
): Promise<Uint8Array<ArrayBuffer>> {
  const content = await readFile(join(folder, file)).catch(() => undefined);
  if (content?.length === bytes && createHash('sha256').update(content).digest('hex') === sha256)
    return new Uint8Array(content);
  const reason = `'${file}' is ${content ? 'not the codec profile that its manifest promises' : 'missing'}`;
  throw unusable(folder, 'INTEGRITY_MISMATCH', reason, RECALIBRATE);
}

/** Parsed, and compared with its cut: else every frame that is made with it would be refused, one by one. */
function profileFrom(folder: string, cut: CutInfo, content: Uint8Array, name: string): CodecProfile {
  const { file } = cut.profile!;
  let profile: CodecProfile;
  try {
    profile = parseProfile(content, name);
  } catch (thrown) {
    const { code, message } = IsthmusError.from(thrown, 'CODEC_INVALID', 'it cannot be read');
    throw unusable(folder, code, `'${file}': ${message}`, '');
  }
  for (const info of cut.tensors) {
    if (info.dtype !== 'float32' && info.dtype !== 'float16') continue;
    const reason = misfit(viewOf(concreteShape(info)), profile);
    if (!reason) continue;
    const where = `the codec profile '${file}' does not fit the cut '${cut.name}': ${reason}`;
    throw unusable(folder, 'MANIFEST_INVALID', where, RECALIBRATE);
  }
  return profile;
}

const RECALIBRATE = 'Make it anew with `isthmus calibrate`.';

/** @param remedy a sentence after `reason`; empty where the reason is a whole sentence that names one */
export function unusable(
  folder: string,
  code: IsthmusError['code'],
  reason: string,
  remedy = 'Make it anew with `isthmus split`.',
  cause?: unknown,
): IsthmusError {
  const why = remedy === '' ? reason : `${reason}. ${remedy}`;
  const message = `The model in folder '${basename(folder)}' cannot be served: ${why}`;
  return new IsthmusError(code, message, { cause });
}
