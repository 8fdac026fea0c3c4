// Which kind of link opened first at which tail, kept in localStorage where there is one, so that the next page load
// starts with it. Holds nothing but origins, kinds and times; a stale or damaged note costs a third of a second.
import type { LinkKind } from './transport.ts';

/** Networks change; a day later all kinds race again. */
const WON_MS = 24 * 3600_000;
/** Whoever failed may do better soon: a firewall is left behind, a certificate renewed. */
const FAILED_MS = 10 * 60_000;
const STORE = 'isthmus.links';
/** Tails of one page. */
const MOST = 50;

interface Note {
  won?: LinkKind;
  /** Date.now() until which `won` counts. */
  until?: number;
  /** Kinds that failed, each until then. */
  failed?: Partial<Record<LinkKind, number>>;
}

/** Where there is no localStorage: Node, workers, private windows. */
const memory = new Map<string, Note>();

/** @returns `kinds`, the likeliest first. @param tail its origin, and what else decides whether a kind works there */
export function byPromise(tail: string, kinds: readonly LinkKind[]): LinkKind[] {
  const { won, until = 0, failed } = readAll().get(tail) ?? {};
  const now = Date.now();
  const rank = (kind: LinkKind) => {
    if (kind === won && until > now) return 0;
    return (failed?.[kind] ?? 0) > now ? 2 : 1;
  };
  return [...kinds].sort((a, b) => rank(a) - rank(b));
}

export function noteWin(tail: string, kind: LinkKind): void {
  change(tail, ({ failed }) => {
    const { [kind]: _, ...others } = failed ?? {};
    return { won: kind, until: Date.now() + WON_MS, failed: others };
  });
}

export function noteFailure(tail: string, kind: LinkKind): void {
  change(tail, ({ won, until, failed }) => ({
    ...(won !== undefined && won !== kind && { won, until: until ?? 0 }),
    failed: { ...failed, [kind]: Date.now() + FAILED_MS },
  }));
}

function change(tail: string, make: (note: Note) => Note): void {
  const all = readAll();
  const note = make(all.get(tail) ?? {});
  all.delete(tail);
  all.set(tail, note); // the latest goes last
  const kept = [...all].slice(-MOST);
  memory.clear();
  for (const [key, value] of kept) memory.set(key, value);
  try {
    globalThis.localStorage?.setItem(STORE, JSON.stringify(kept));
  } catch {
    // Full or forbidden; memory has it.
  }
}

/** Anything may have written there. */
function readAll(): Map<string, Note> {
  try {
    const kept: unknown = JSON.parse(globalThis.localStorage?.getItem(STORE) ?? 'null');
    if (Array.isArray(kept)) {
      const pairs = kept.filter(
        (pair): pair is [string, Note] =>
          Array.isArray(pair) &&
          typeof pair[0] === 'string' &&
          typeof pair[1] === 'object' &&
          pair[1] !== null,
      );
      return new Map(pairs);
    }
  } catch {
    // Not allowed or damaged: as if there were none.
  }
  return new Map(memory);
}
