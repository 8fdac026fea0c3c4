// The crash flag: a mark that stays behind when a page dies while it loads a model or runs it for the first time, and is found by the
// next session with that model. A mark whose owner lives is another tab's. What follows from it is caution.ts' business.
import type { KeptThings } from './memory.ts';

export interface CrashFlag {
  /** Sessions that died before they had answered, one after the other. */
  readonly crashes: number;
  /** This session has answered: its own mark goes, and the latest of the dead. */
  proven(): void;
  /** It was closed properly. */
  end(): void;
}

/** Marks by the id of their session. */
interface Marks {
  ids(): Promise<string[]>;
  put(id: string): void;
  drop(id: string): void;
}

const PREFIX = 'isthmus-loading';
const lockOf = (id: string) => `${PREFIX}|${id}`;

/**
 * Raises the flag for a session that begins. Without a page, or where the browser gives no locks to tell the living from the
 * dead, there is none.
 *
 * @param about the address of the model
 * @param kept where marks are kept when localStorage is denied
 */
export async function raiseFlag(about: string, kept?: KeptThings): Promise<CrashFlag | undefined> {
  const locks = globalThis.navigator?.locks;
  if (!locks || typeof document === 'undefined') return undefined;
  const marks = marksOf(about, kept);
  const id = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  try {
    const ids = await marks.ids();
    const { held = [] } = await locks.query();
    const dead = ids.filter((mark) => !held.some(({ name }) => name === lockOf(mark)));
    const release = await holdLock(locks, lockOf(id)); // before the mark, so that no other tab takes it for dead
    return watch(marks, id, dead, release);
  } catch {
    return undefined;
  }
}

function watch(marks: Marks, id: string, dead: string[], release: () => void): CrashFlag {
  const left = new AbortController();
  let proven = false;
  const end = () => {
    left.abort();
    marks.drop(id);
    release();
  };
  marks.put(id);
  // Leaving is no crash, and what the system does to a page in the background says nothing about the model.
  addEventListener('pagehide', end, { signal: left.signal });
  const seen = () => (document.hidden || proven ? marks.drop(id) : marks.put(id));
  document.addEventListener('visibilitychange', seen, { signal: left.signal });
  return {
    crashes: dead.length,
    proven() {
      if (proven) return;
      proven = true;
      marks.drop(id);
      const last = dead.pop();
      if (last) marks.drop(last);
    },
    end,
  };
}

function holdLock(locks: LockManager, name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    locks.request(name, () => new Promise<void>((release) => resolve(release))).catch(reject);
  });
}

function marksOf(about: string, kept: KeptThings | undefined): Marks {
  const prefix = `${PREFIX}|${about}|`;
  try {
    const storage = localStorage; // throws where site data are blocked
    return {
      ids: async () =>
        Object.keys(storage)
          .filter((key) => key.startsWith(prefix))
          .map((key) => key.slice(prefix.length)),
      put(id) {
        try {
          storage.setItem(prefix + id, '');
        } catch {
          // Full: this crash, if there is one, goes unnoticed.
        }
      },
      drop: (id) => storage.removeItem(prefix + id),
    };
  } catch {
    const ids = async () => (await kept?.get<string[]>(prefix)) ?? [];
    const change = (to: (now: string[]) => string[]) =>
      void ids().then(async (now) => kept?.set(prefix, to(now)));
    return {
      ids,
      put: (id) => change((now) => [...now.filter((other) => other !== id), id]),
      drop: (id) => change((now) => now.filter((other) => other !== id)),
    };
  }
}
