// Offline: a session that starts from what this device keeps because no tail answers, and the search for the tail in the
// background until it is back. The session asks it who is away; loading and running are not its business.
import { IsthmusError } from '../errors.ts';
import { type Manifest, modelTag } from '../model/manifest.ts';
import { whenAwake } from '../transport/awake.ts';
import { type KeptThings, type KnownModel, recall } from './memory.ts';
import type { Mode } from './types.ts';

/** A tail that says nothing for so long while a session starts that can answer here is looked for in the background. */
const SILENCE_MS = 3000;
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 60_000;

/** Why the tail is not asked just now. */
export interface Absence {
  /** OFFLINE, MODEL_MISMATCH, or whatever the tail refused with; undefined once it is back. */
  readonly reason: IsthmusError | undefined;
  /** Stops looking for it. */
  end(): void;
}

/** What connect() learns of a model: from the tail, or where that is away from memory. */
export interface Lookup {
  /** Why memory had to help. */
  readonly away: IsthmusError | undefined;
  /**
   * What `asking` yields; what is remembered where it fails with OFFLINE, or says nothing for 3 s while this device has the
   * whole model. A start that needs its tail waits for one that is only slow, as if nothing were remembered.
   * @throws what `asking` throws, where nothing is remembered
   */
  orKnown<T>(asking: Promise<T>, pick: (known: KnownModel) => T): Promise<T>;
}

/**
 * @param kept undefined where memory must not help: `only-*`, and `offline: false`
 * @param isHere whether the whole model is on this device; it never rejects
 */
export function lookup(
  kept: KeptThings | undefined,
  address: string,
  isHere: (manifest: Manifest) => Promise<boolean>,
): Lookup {
  let away: IsthmusError | undefined;
  return {
    get away() {
      return away;
    },
    async orKnown(asking, pick) {
      const known = kept && recall(kept, address);
      if (!known) return asking;
      if (away) {
        asking.catch(() => undefined); // the search in the background asks again
        return pick((await known)!);
      }
      let timer: ReturnType<typeof setTimeout> | undefined;
      const silence = new Promise<never>((_, reject) => {
        const error = new IsthmusError('OFFLINE', `The tail said nothing for ${SILENCE_MS / 1000} s.`);
        const giveUp = async () => {
          const model = await known;
          if (model && (await isHere(model.manifest))) reject(error);
        };
        timer = setTimeout(giveUp, SILENCE_MS);
      });
      try {
        return await Promise.race([asking, silence]);
      } catch (thrown) {
        const model = await known;
        if (!model || !(thrown instanceof IsthmusError) || thrown.code !== 'OFFLINE') throw thrown;
        away = thrown;
        return pick(model);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Whether a session of this mode may live without its tail. */
export const maySurvive = (mode: Mode = 'prefer-split') => mode === 'auto' || mode.startsWith('prefer-');

export interface Search {
  /** What the tail serves now. @throws as `fetchManifest` */
  ask(signal: AbortSignal): Promise<Manifest>;
  /** The model that the session has. */
  manifest: Manifest;
  away: IsthmusError;
  /** Replaces Math.random. */
  random?: () => number;
}

/**
 * Asks after 1 s, then ever more rarely up to once a minute (each pause a quarter shorter or longer, so that clients do not
 * return together), and at once when the browser is online again or the page is shown. A tail that serves another version by now is named by it;
 * going over to that version is follow.ts.
 */
export function searchTail({ ask, manifest, away, random = Math.random }: Search): Absence {
  let reason: IsthmusError | undefined = away;
  let pause = SHORTEST_PAUSE_MS;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let asking = false;
  const ended = new AbortController();

  async function look(): Promise<void> {
    if (asking || ended.signal.aborted) return;
    asking = true;
    clearTimeout(timer);
    try {
      const theirs = await ask(ended.signal);
      reason = theirs.id === manifest.id ? undefined : mismatch(manifest, theirs);
    } catch (thrown) {
      reason = IsthmusError.from(thrown, 'OFFLINE', 'The tail cannot be asked.');
    }
    asking = false;
    if (!reason) end();
    else wait();
  }

  function wait(): void {
    if (ended.signal.aborted) return;
    timer = setTimeout(look, pause * (0.75 + random() / 2));
    (timer as { unref?: () => void }).unref?.(); // keeps no process alive
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }

  function end(): void {
    clearTimeout(timer);
    ended.abort();
  }

  const stop = whenAwake(() => {
    pause = SHORTEST_PAUSE_MS; // the network may need a moment more
    void look();
  });
  ended.signal.addEventListener('abort', stop, { once: true });
  wait();
  return {
    get reason() {
      return reason;
    },
    end,
  };
}

function mismatch(ours: Manifest, theirs: Manifest): IsthmusError {
  return new IsthmusError(
    'MODEL_MISMATCH',
    `The tail serves '${theirs.name}' as ${modelTag(theirs)} now, this session has ${modelTag(ours)}.`,
  );
}
