// SafeStore: idb-keyval that cannot fail a caller. Private mode, a full disk, a blocked upgrade or a database that never
// answers all look like an empty store. It stands under the model store and knows nothing of models.
import { createStore, delMany, get, set, type UseStore } from 'idb-keyval';

/** Some browsers never answer an open request (blocked upgrade, damaged profile); nobody waits longer than this. */
const PATIENCE_MS = 4000;

/** The few calls the model store needs; tests put a failing one in its place. */
export interface SafeStore {
  get<T>(key: string): Promise<T | undefined>;
  /** @returns whether the value was kept. */
  set(key: string, value: unknown): Promise<boolean>;
  delete(keys: string[]): Promise<void>;
}

/**
 * @param database name of the IndexedDB database; its one object store has the same name
 * @param open replaces idb-keyval's createStore
 */
export function createSafeStore(database: string, open: (name: string) => UseStore = openStore): SafeStore {
  let store: UseStore | undefined;
  let broken = false;

  async function attempt<T>(work: (store: UseStore) => Promise<T>): Promise<T | undefined> {
    if (broken) return undefined;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => {
        broken = true; // one wait of this length is enough for a session
        resolve(undefined);
      }, PATIENCE_MS);
    });
    try {
      store ??= open(database);
      return await Promise.race([work(store), late]);
    } catch {
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    get: (key) => attempt((s) => get(key, s)),
    set: async (key, value) => (await attempt((s) => set(key, value, s).then(() => true))) ?? false,
    delete: async (keys) => {
      if (keys.length > 0) await attempt((s) => delMany(keys, s));
    },
  };
}

const openStore = (name: string) => createStore(name, name);
