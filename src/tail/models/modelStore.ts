// The model store: keeps the registry of a folder up to date. A reload builds the next snapshot aside, checks every hash and
// only then puts it in the place of the last; what was replaced is answered for a while longer. It serves nothing itself.
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { IsthmusError } from '../../errors.ts';
import { type ModelFolder, modelFolders } from './modelFolders.ts';
import { type Registry, registryOf, type Skipped } from './registry.ts';
import { closeFiles, loadServedModel, type ServedModel } from './servedModel.ts';
import { type Watching, watchFolders } from './watchFolders.ts';

export interface ModelStoreOptions {
  /** Milliseconds for which a version that was replaced or removed is still answered. Default five minutes. */
  graceMs?: number | undefined;
  /** Told of new models before requests can reach them, so that they can be warmed up. Its failure changes nothing. */
  prepare?: (models: readonly ServedModel[]) => Promise<unknown>;
  /** Told after every change, and of folders that could not be used. */
  onChange?: (report: ReloadReport) => void;
}

/** What a reload did; versions by their folders' names. */
export interface ReloadReport {
  loaded: readonly string[];
  retired: readonly string[];
  /** Folders that cannot be used, found now; what they held before is still served. */
  broken: readonly Skipped[];
}

export interface ModelStore {
  readonly registry: Registry;
  /**
   * Looks at the folder now. Calls follow one another.
   * @throws IsthmusError OPTION_INVALID when the folder cannot be read or holds no model any more; all stays as it was
   */
  reload(): Promise<ReloadReport>;
  /** Reloads whenever something changes in the folder; what it cannot do goes to `onError`. */
  watch(options: WatchOptions): void;
  /** Closes the files; nothing may be asked of the models afterwards. */
  close(): void;
}

interface WatchOptions {
  /** Quiet time after a change. Default 300 ms. */
  debounceMs?: number | undefined;
  /** Looks without being told as often, since not every file system tells. Default 10 s. */
  pollMs?: number | undefined;
  onError?: (error: IsthmusError) => void;
}

/** A folder that is being exchanged is absent for a moment; it is looked for once more before it counts as removed. */
const SETTLE_MS = 250;
/** Requests that found a version in its last moment may still read its files. */
const CLOSE_AFTER_MS = 60_000;

/** Versions that are answered after their time; each holds its files open. */
const MOST_RETIRED = 64;

interface Loaded {
  folder: ModelFolder;
  model: ServedModel;
}

/** @throws IsthmusError OPTION_INVALID when there is no model; the first model's own error when none of them can be used */
export async function openModels(dir: string, options: ModelStoreOptions = {}): Promise<ModelStore> {
  const root = resolve(dir);
  const { graceMs = 300_000, prepare, onChange } = options;
  let loaded = new Map<string, Loaded>();
  let broken = new Map<string, { signature: string; error: IsthmusError }>();
  let retired: { model: ServedModel; until: number }[] = [];
  let registry = registryOf([], [], []);
  let running: Promise<unknown> = Promise.resolve();
  let watching: Watching | undefined;
  let closed = false;
  const timers = new Set<NodeJS.Timeout>();
  /** Models whose files are open. */
  const open = new Set<ServedModel>();

  function later(ms: number, act: () => void): void {
    const timer = setTimeout(() => {
      timers.delete(timer);
      act();
    }, ms);
    timer.unref();
    timers.add(timer);
  }

  function letGo(model: ServedModel): void {
    if (open.delete(model)) closeFiles(model);
  }

  function publish(): void {
    const now = Date.now();
    retired = retired.filter(({ until }) => until > now);
    registry = registryOf(
      [...loaded.values()].map(({ model }) => model),
      retired.map(({ model }) => model),
      [...broken].map(([folder, { error }]) => ({ folder, error })),
    );
  }

  function retire(model: ServedModel): void {
    const now = Date.now();
    retired.unshift({ model, until: now + graceMs });
    for (const old of retired.slice(MOST_RETIRED)) old.until = now;
    later(graceMs + 1, publish);
    later(graceMs + CLOSE_AFTER_MS, () => letGo(model));
  }

  async function look(): Promise<ReloadReport> {
    let { folders, looked } = await modelFolders(root);
    const there = new Set(folders.map(({ version }) => version));
    if ([...loaded.keys()].some((version) => !there.has(version))) {
      await sleep(SETTLE_MS);
      ({ folders, looked } = await modelFolders(root));
    }
    watching?.follow(looked);
    const next = new Map<string, Loaded>();
    const fresh: Loaded[] = [];
    const failures = new Map<string, { signature: string; error: IsthmusError }>();
    const news: Skipped[] = [];
    for (const folder of folders) {
      const { version, signature } = folder;
      const before = loaded.get(version);
      if (before) next.set(version, before);
      const failed = broken.get(version);
      if (before?.folder.signature === signature) continue;
      if (failed?.signature === signature) {
        failures.set(version, failed);
        continue;
      }
      try {
        const model = await loadServedModel(folder.path, version);
        const same = before && sameContent(before.model, model);
        if (same) closeFiles(model);
        else open.add(model);
        next.set(version, { folder, model: same ? before.model : model });
        if (!same) fresh.push(next.get(version)!);
      } catch (thrown) {
        const error = IsthmusError.from(thrown, 'MANIFEST_INVALID', `'${version}' cannot be read.`);
        failures.set(version, { signature, error });
        news.push({ folder: version, error });
      }
    }
    if (next.size === 0) {
      broken = failures;
      throw failures.values().next().value?.error ?? noModels(root);
    }
    if (fresh.length > 0) await prepare?.(fresh.map(({ model }) => model)).catch(() => undefined);
    const kept = new Set([...next.values()].map(({ model }) => model));
    const gone = [...loaded.values()].filter(({ model }) => !kept.has(model));
    loaded = next;
    broken = failures;
    for (const { model } of gone) retire(model);
    publish();
    const report = {
      loaded: fresh.map(({ folder }) => folder.version),
      retired: gone.map(({ folder }) => folder.version),
      broken: news,
    };
    if (fresh.length + gone.length + news.length > 0) onChange?.(report);
    return report;
  }

  function reload(): Promise<ReloadReport> {
    const next = running.then(() => {
      if (closed) throw new IsthmusError('CLOSED', 'The tail is stopping; its models stay as they are.');
      return look();
    });
    running = next.catch(() => undefined);
    return next;
  }

  await reload();
  return {
    get registry() {
      return registry;
    },
    reload,
    watch({ onError, ...times }) {
      let last: string | undefined;
      const act = async () => {
        const error = await reload().then(
          () => undefined,
          (thrown: unknown) => IsthmusError.from(thrown, 'INTERNAL', 'The models cannot be reloaded.'),
        );
        if (error && error.message !== last && !closed) onError?.(error); // once, not at every look
        last = error?.message;
      };
      watching ??= watchFolders(() => void act(), times);
      void act(); // it also finds what to watch
    },
    close() {
      if (closed) return;
      closed = true;
      watching?.close();
      for (const timer of timers) clearTimeout(timer);
      for (const model of [...open]) letGo(model);
    },
  };
}

/** What lies in a folder now, for those who never look again. @throws as {@link openModels} */
export async function loadRegistry(dir: string): Promise<Registry> {
  return (await openModels(dir)).registry;
}

/** Written again without a change, or touched: what runs goes on with the files that it has. */
const sameContent = (a: ServedModel, b: ServedModel) =>
  a.etag === b.etag && [...b.artifacts.keys()].every((sha256) => a.artifacts.has(sha256));

function noModels(dir: string): IsthmusError {
  return new IsthmusError(
    'OPTION_INVALID',
    `'${dir}' holds no models: no manifest.json in it or in a folder below it. Make one with \`isthmus split\`.`,
  );
}
