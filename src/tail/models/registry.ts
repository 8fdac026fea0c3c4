// The registry: which models and versions a tail answers at one moment. A snapshot that is never changed; a reload makes
// another one (modelStore.ts). It reads nothing.
import { IsthmusError } from '../../errors.ts';
import { byVersion } from './modelFolders.ts';
import { type Artifact, type ServedModel, unusable } from './servedModel.ts';

export type { ServedModel } from './servedModel.ts';

export interface Skipped {
  folder: string;
  error: IsthmusError;
}

export interface Registry {
  /** The default version of each model by name: the last of its folders in natural order. */
  models: ReadonlyMap<string, ServedModel>;
  /** Every version that is answered by the model's name, the default first, retired ones last. */
  versions: ReadonlyMap<string, readonly ServedModel[]>;
  /** By sha256; only files that a loaded manifest names. */
  artifacts: ReadonlyMap<string, Artifact>;
  /** Folders that could not be used, or no longer; for the latter the state before is still served. */
  skipped: readonly Skipped[];
}

/**
 * @param current what lies in the folders
 * @param retired what lay there a short while ago, newest first
 */
export function registryOf(
  current: readonly ServedModel[],
  retired: readonly ServedModel[],
  skipped: readonly Skipped[],
): Registry {
  const failures = [...skipped];
  const byName = new Map<string, ServedModel[]>();
  for (const model of [...current].sort(byVersion)) {
    const { name } = model.manifest;
    const versions = byName.get(name) ?? [];
    const twin = versions.find(({ tag }) => tag === model.tag);
    if (twin) {
      const reason = `the folder '${twin.version}' holds the same version of '${name}'`;
      const error = unusable(model.version, 'MANIFEST_INVALID', reason, 'Remove one of them.');
      failures.push({ folder: model.version, error });
      continue;
    }
    byName.set(name, [...versions, withOlder(model, retired)]);
  }
  const models = new Map([...byName].map(([name, versions]) => [name, versions.at(-1)!]));
  const versions = new Map([...byName].map(([name, list]) => [name, list.toReversed()]));
  for (const old of retired) {
    const list = versions.get(old.manifest.name) ?? [];
    if (list.some(({ tag }) => tag === old.tag)) continue;
    versions.set(old.manifest.name, [...list, { ...old, retired: true }]);
  }
  const all = [...versions.values()].flat().toReversed();
  return { models, versions, artifacts: new Map(all.flatMap((m) => [...m.artifacts])), skipped: failures };
}

/** Frames made with the profile from before the last calibration are on their way still. */
function withOlder(model: ServedModel, retired: readonly ServedModel[]): ServedModel {
  const older = retired.filter(
    ({ tag, manifest }) => tag === model.tag && manifest.name === model.manifest.name,
  );
  if (older.length === 0) return model;
  const merged = <T>(pick: (m: ServedModel) => ReadonlyMap<string, T>) =>
    new Map([...older.toReversed().flatMap((m) => [...pick(m)]), ...pick(model)]);
  return { ...model, profiles: merged((m) => m.profiles), artifacts: merged((m) => m.artifacts) };
}

/**
 * The version that frames with this tag are meant for.
 *
 * @param name where the address names a model: only versions of it are considered
 */
export function versionByTag({ versions }: Registry, tag: string, name?: string): ServedModel | undefined {
  if (name !== undefined) return versions.get(name)?.find((model) => model.tag === tag);
  for (const list of versions.values()) for (const model of list) if (model.tag === tag) return model;
  return undefined;
}

/**
 * A model by the name in an address: its default version.
 *
 * @param listed whether the error may name the models there are
 * @throws IsthmusError MODEL_NOT_FOUND
 */
export function defaultVersion({ models }: Registry, name: string, listed = true): ServedModel {
  const model = models.get(name);
  if (model) return model;
  const names = listed ? [...models.keys()].join(', ') : '';
  throw new IsthmusError(
    'MODEL_NOT_FOUND',
    `This tail has no model '${name.slice(0, 64)}'.${names && ` It has: ${names}.`}`,
  );
}
