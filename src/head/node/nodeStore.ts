// The model store's disk in Node: a folder of files in the place of the browser's IndexedDB. Downloading, resuming,
// checking and the budget are modelStore.ts and segmentCache.ts; like theirs, this store cannot fail a caller.
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ModelStore } from '../store/modelStore.ts';
import type { SafeStore } from '../store/safeStore.ts';
import { SegmentCache } from '../store/segmentCache.ts';

/** Disks of machines that run Node are larger than a browser's quota. */
const BUDGET = 4 * 1024 ** 3;

/** The model store of this machine, in {@link cacheFolder}. */
export function nodeModelStore(folder = cacheFolder()): ModelStore {
  return new ModelStore({ cache: new SegmentCache(BUDGET, nodeKept(folder)) });
}

/** Whether this machine keeps a segment. */
export const nodeHolds = (sha256: string): Promise<boolean> =>
  new SegmentCache(BUDGET, nodeKept()).holds(sha256);

/** What this machine keeps beside segments, in the same folder. */
export function nodeKept(folder = cacheFolder()): SafeStore {
  return folder ? folderStore(folder) : NOTHING;
}

/** `ISTHMUS_CACHE` (empty: keep nothing), else where the platform wants caches. */
function cacheFolder(): string | undefined {
  const { ISTHMUS_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (ISTHMUS_CACHE !== undefined) return ISTHMUS_CACHE || undefined;
  if (XDG_CACHE_HOME) return join(XDG_CACHE_HOME, 'isthmus');
  if (process.platform === 'win32' && LOCALAPPDATA) return join(LOCALAPPDATA, 'isthmus');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'isthmus');
  return join(homedir(), '.cache', 'isthmus');
}

const NOTHING: SafeStore = {
  get: async () => undefined,
  set: async () => false,
  delete: async () => undefined,
};

/** Bytes are files as they are, everything else is JSON. Keys become file names: `segment/ab12` is `segment-ab12.bin`. */
function folderStore(folder: string): SafeStore {
  const base = (key: string) => join(folder, key.replaceAll('/', '-'));
  return {
    async get<T>(key: string): Promise<T | undefined> {
      try {
        return key.includes('/')
          ? ((await readFile(`${base(key)}.bin`)) as T)
          : (JSON.parse(await readFile(`${base(key)}.json`, 'utf8')) as T);
      } catch {
        return undefined;
      }
    },

    /** Written beside and renamed, so that no reader ever sees half a file. */
    async set(key, value) {
      const bytes = value instanceof Uint8Array;
      const file = `${base(key)}${bytes ? '.bin' : '.json'}`;
      const partial = `${file}.${crypto.randomUUID()}`;
      try {
        await mkdir(folder, { recursive: true });
        await writeFile(partial, bytes ? value : JSON.stringify(value));
        await rename(partial, file);
        return true;
      } catch {
        await rm(partial, { force: true }).catch(() => undefined);
        return false;
      }
    },

    async delete(keys) {
      await Promise.all(keys.map((key) => rm(`${base(key)}.bin`, { force: true }).catch(() => undefined)));
    },
  };
}
