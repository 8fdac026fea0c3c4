// The crash flag: a mark that stays behind when a page dies while it loads a model or runs it for the first time, and is found by the
// next session with that model. A mark whose owner lives is another tab's. What follows from it is caution.ts' business.
import type { KeptThings } from './memory.ts';

export interface CrashFlag {
  /** Pages that died before a session of theirs had answered, one after the other. */
  readonly crashes: number;
  /** This session has answered: its own mark goes, and those of the page that died last. */
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
const newName = () => `${Date.now()}-${Math.random().toString(36).slice(2)}`;
/** A page dies once, whatever number of sessions it had. */
const PAGE = newName();
const pageOf = (id: string) => id.split('.', 1)[0]!;
let sessions = 0;

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
  const marks = marksOf(about, locks, kept);
  const id = `${PAGE}.${++sessions}`;
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
  // Leaving is no crash, and what the system does to a page in the background says nothing about the model.
  addEventListener('pagehide', end, { signal: left.signal });
  const seen = () => (document.hidden || proven ? marks.drop(id) : marks.put(id));
  seen();
  document.addEventListener('visibilitychange', seen, { signal: left.signal });
  return {
    crashes: new Set(dead.map(pageOf)).size,
    proven() {
      if (proven) return;
      proven = true;
      marks.drop(id);
      const last = dead.map(pageOf).sort().at(-1); // they begin with the time
      for (const mark of dead) if (pageOf(mark) === last) marks.drop(mark);
    },
    end,
  };
}

function holdLock(locks: LockManager, name: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    locks.request(name, () => new Promise<void>((release) => resolve(release))).catch(reject);
  });
}

function marksOf(about: string, locks: LockManager, kept: KeptThings | undefined): Marks {
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
    // One after the other, those of other tabs included: each reads what the one before has written.
    const change = (to: (now: string[]) => string[]) =>
      void locks
        .request(`${PREFIX}-change|${about}`, async () => kept?.set(prefix, to(await ids())))
        .catch(() => undefined);
    return {
      ids,
      put: (id) => change((now) => [...now.filter((other) => other !== id), id]),
      drop: (id) => change((now) => now.filter((other) => other !== id)),
    };
  }
}
