// Caution: starts small where memory is short or where the last start with this model ended in a crash, and grows as runs succeed.
// It changes choices and options only; the marks of crashes are crashFlag.ts'.
import { MAIN_TASK, type Manifest } from '../model/manifest.ts';
import type { Choice, Defaults } from './choose.ts';
import type { CrashFlag } from './crashFlag.ts';
import { defaultCut, type Plan } from './plan.ts';
import type { Report } from './resultTypes.ts';
import type { ConnectOptions, Mode, RunOptions } from './types.ts';

/** Answers after which a session has shown that it lives, and after which the head may grow by one cut. */
const ENOUGH = 3;
/** `navigator.deviceMemory`, in GiB, at which it counts as short. */
const SHORT_GIB = 2;

export interface Caution {
  /** The options to start with: WebAssembly in the place of a GPU that nobody insisted on. */
  options(options: ConnectOptions): ConnectOptions;
  /** The last segment worth loading before the first run. */
  latest(manifest: Manifest, last: number, options: ConnectOptions): number;
  /** The same choice, or a smaller one. */
  apply(manifest: Manifest, choice: Choice, defaults: Defaults, run: RunOptions): Choice;
  /** For `report.degraded`, where a choice was made smaller because of a crash or of short memory. */
  readonly why: string;
  answered(ran: Report['ran']): void;
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
  /** The latest cut at which runs may be split; -1: none, the tail does it all. Infinite once there is no need for caution. */
  let cap = crashes > 1 ? -1 : crashes > 0 || short ? 0 : Number.POSITIVE_INFINITY;
  let answers = 0;

  /** Only what the caller left open is made smaller. */
  const applies = ({ mode, cut }: { mode?: Mode | undefined; cut?: string | number | undefined }) =>
    cut === undefined && !mode?.startsWith('only-');

  return {
    options: (options) =>
      crashes > 0 && applies(options)
        ? { ...options, standby: false, ...((options.device ?? 'auto') === 'auto' && { device: 'wasm' }) }
        : options,
    latest: (manifest, last, options) =>
      last < 0 || !applies(options) || (!crashes && (options.mode ?? '') === 'prefer-local')
        ? last
        : manifest.cuts.length > 0
          ? Math.min(last, cap)
          : last,
    apply(manifest, choice, defaults, run) {
      const cut = run.cut ?? defaults.cut;
      const mode = run.mode ?? defaults.mode;
      const wanted = manifest.cuts.length > 0 && (choice.cut ?? defaultCut(manifest));
      if (wanted === false || !applies({ mode, cut })) return choice;
      const { plans, tasks } = choice;
      const first = plans[0];
      if (first === 'remote' || (first === 'local' && crashes === 0)) return choice;
      if (first === 'split' && cap >= wanted) return choice;
      if (cap === Number.POSITIVE_INFINITY) return choice;
      const order: Plan[] = cap < 0 && plans.includes('remote') ? ['remote', 'split'] : ['split', 'remote'];
      const others = tasks?.some((name) => name !== MAIN_TASK)
        ? []
        : plans.filter((plan) => plan === 'local');
      const [head, ...rest] = [...order.filter((plan) => plans.includes(plan)), ...others];
      return { ...choice, plans: [head ?? first, ...rest], cut: Math.max(0, Math.min(wanted, cap)) };
    },
    why:
      crashes > 0
        ? `CAUTION: The last start with this model ended in a crash, so this one began with ${crashes > 1 ? 'the tail alone' : 'WebAssembly and the smallest head'}.`
        : 'CAUTION: This device has little memory, so the head began small and grows as runs succeed.',
    answered(ran) {
      answers++;
      if (answers === ENOUGH) flag?.proven();
      if (answers % ENOUGH > 0 || ran === 'local') return;
      cap++;
    },
    end: () => flag?.end(),
  };
}
