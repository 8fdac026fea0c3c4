// Caution: starts small where memory is short or where the last start with this model ended in a crash, and grows as runs succeed.
// It changes choices and options only; the marks of crashes are crashFlag.ts'.
import { MAIN_TASK, type Manifest } from '../model/manifest.ts';
import type { Choice, Defaults } from './choose.ts';
import type { CrashFlag } from './crashFlag.ts';
import { defaultCut, type Plan } from './plan.ts';
import type { ConnectOptions, Mode, RunOptions } from './types.ts';

/** Answers after which a session has shown that it lives, and after which the head may grow by one cut. */
const ENOUGH = 3;
/** `navigator.deviceMemory`, in GiB, at which it counts as short. */
const SHORT_GIB = 2;

/** What the caller said of a run, by itself or with `connect`. */
type Wish = { mode?: Mode | undefined; cut?: string | number | undefined };

export interface Caution {
  /** The options to start with: WebAssembly in the place of a GPU that nobody insisted on. */
  options(options: ConnectOptions): ConnectOptions;
  /**
   * What this device may hold and run just now: loads ahead of need, plans and hedges ask for it.
   *
   * @returns `last`: the last segment, -1 for none; `whole`: whether that is the whole model. Where it is not, the whole model runs here
   *   only when nothing else answers.
   */
  allows(manifest: Manifest, defaults: Wish, run?: Wish): { last: number; whole: boolean };
  /** The same choice, or a smaller one. */
  apply(manifest: Manifest, choice: Choice, defaults: Defaults, run: RunOptions): Choice;
  /** For `report.degraded`, where a choice was made smaller because of a crash or of short memory. */
  readonly why: string;
  /** The same in a few words, for the sentence of a measured plan. */
  readonly because: string;
  answered(): void;
  end(): void;
}

/** What of `navigator` tells. */
type Agent = Partial<Navigator> & { deviceMemory?: number };

/** Safari on iPhones and iPads, whose pages die near 1.5 GB, and which tells no `deviceMemory`. */
export function isIosLike({ userAgent = '', maxTouchPoints = 0 }: Agent): boolean {
  return /iPhone|iPad|iPod/.test(userAgent) || (/Macintosh/.test(userAgent) && maxTouchPoints > 1);
}

/** @returns whether this device has little memory, as far as it tells */
export function isShortOfMemory(agent: Agent = globalThis.navigator ?? {}): boolean {
  return isIosLike(agent) || (agent.deviceMemory ?? Number.POSITIVE_INFINITY) <= SHORT_GIB;
}

/** @param flag absent where crashes cannot be known */
export function createCaution(flag: CrashFlag | undefined, short: boolean): Caution {
  const crashes = flag?.crashes ?? 0;
  /** The last segment that may be here; -1: none, the tail does it all. Infinite where there is no need for caution. */
  let cap = crashes > 1 ? -1 : crashes > 0 || short ? 0 : Number.POSITIVE_INFINITY;
  let answers = 0;

  /** Only what the caller left open is made smaller. */
  const applies = ({ mode, cut }: Wish) => cut === undefined && !mode?.startsWith('only-');

  const allows: Caution['allows'] = (manifest, defaults, run = {}) => {
    const end = manifest.segments.length - 1;
    const mode = run.mode ?? defaults.mode;
    const free = !applies({ mode, cut: run.cut ?? defaults.cut });
    const meant = crashes === 0 && mode === 'prefer-local'; // whoever asks for it on a small device means it
    const last = free || meant ? end : Math.min(end, cap);
    return { last, whole: last === end };
  };

  return {
    options: (options) =>
      crashes > 0 && applies(options)
        ? { ...options, standby: false, ...((options.device ?? 'auto') === 'auto' && { device: 'wasm' }) }
        : options,
    allows,
    apply(manifest, choice, defaults, run) {
      const { last, whole } = allows(manifest, defaults, run);
      const { plans, tasks } = choice;
      const first = plans[0];
      if (whole || first === 'remote') return choice;
      const wanted = manifest.cuts.length > 0 ? (choice.cut ?? defaultCut(manifest)) : undefined;
      if (first === 'split' && wanted !== undefined && wanted <= last) return choice;
      const order: Plan[] = last < 0 ? ['remote', 'split'] : ['split', 'remote'];
      const others = tasks?.some((name) => name !== MAIN_TASK)
        ? []
        : plans.filter((plan) => plan === 'local');
      const possible = order.filter(
        (plan) => plans.includes(plan) && (plan === 'remote' || wanted !== undefined),
      );
      const [head, ...rest] = [...possible, ...others];
      return {
        ...choice,
        plans: [head ?? first, ...rest],
        ...(wanted !== undefined && { cut: Math.max(0, Math.min(wanted, last)) }),
      };
    },
    why:
      crashes > 0
        ? `CAUTION: The last start with this model ended in a crash, so this one began with ${crashes > 1 ? 'the tail alone' : 'WebAssembly and the smallest head'}.`
        : 'CAUTION: This device has little memory, so the head began small and grows as runs succeed.',
    because:
      crashes > 0 ? 'the last start with this model ended in a crash' : 'this device has little memory',
    answered() {
      answers++;
      if (answers === ENOUGH) flag?.proven();
      if (answers % ENOUGH === 0) cap++;
    },
    end: () => flag?.end(),
  };
}
