// What the options of a session and of a run come to: plans, cut, codec, tasks. Checked before anything is computed, so that
// mistakes do not look like failures. It starts nothing.
import { type CodecParams, type PresetName, resolveCodec } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { cutIndex, MAIN_TASK, type Manifest, taskNames } from '../model/manifest.ts';
import { defaultCut, type Plan, plansOf } from './plan.ts';
import type { ConnectOptions, Mode, RunOptions } from './types.ts';

export type Defaults = Pick<
  ConnectOptions,
  'mode' | 'cut' | 'codec' | 'upload' | 'plan' | 'limits' | 'exits'
>;

export interface Choice {
  plans: readonly [Plan, ...Plan[]];
  /** Undefined until a plan needs it: a model without cuts still runs locally and remotely. */
  cut: number | undefined;
  preset: string;
  codec: CodecParams;
  /** How a picture travels, where the planner says; else as the session does it. */
  upload?: { format: 'jpeg' | 'webp'; quality: number };
  /** Undefined where none are named: the model's own chain answers. */
  tasks: readonly string[] | undefined;
  keep: boolean;
  /** Milliseconds after sending when this device had better begin as well, where the planner knows. */
  patienceMs?: number;
  /** The device begins with the crossing to learn about the other one, which is heard as well (Decision.race). */
  race?: { lateMs: number };
}

/** What the tail is told about a request. */
export interface Sending {
  urgency: number | undefined;
  /** By performance.now(). */
  expires: number | undefined;
}

/** RFC 9218, where 3 is what nobody asked for. */
const URGENCY = { high: 1, normal: 3, low: 5 } as const;

/** @throws OPTION_INVALID, CUT_INVALID, CODEC_INVALID */
export function choose(manifest: Manifest, defaults: Defaults, run: RunOptions = {}): Choice {
  const codec: PresetName | CodecParams = run.codec ?? defaults.codec ?? 'isthmus';
  const tasks = run.tasks && checkTasks(manifest, run.tasks);
  const wanted = run.cut ?? defaults.cut;
  return {
    plans: plansFor(run.mode ?? defaults.mode ?? 'prefer-split', tasks),
    cut: cutFor(manifest, wanted === undefined ? undefined : findCut(manifest, wanted), tasks),
    preset: typeof codec === 'string' ? codec : 'custom',
    codec: resolveCodec(codec),
    tasks,
    keep: run.keep ?? false,
  };
}

/** @throws OPTION_INVALID */
export function sendingOf(
  { priority, deadlineMs }: Pick<RunOptions, 'priority' | 'deadlineMs'>,
  started: number,
): Sending {
  if (priority !== undefined && !Object.hasOwn(URGENCY, priority))
    throw wrong(`There is no priority '${priority}'; there are high, normal and low.`);
  return {
    urgency: priority && URGENCY[priority],
    expires: deadlineMs === undefined ? undefined : started + deadlineMs,
  };
}

/** @throws OPTION_INVALID for names that the model does not have, and for none */
export function checkTasks(manifest: Manifest, tasks: readonly string[]): readonly string[] {
  const names = taskNames(manifest);
  const unknown = tasks.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw wrong(`The model '${manifest.name}' has no task '${unknown}'. It has: ${names.join(', ')}.`);
  if (tasks.length === 0) throw wrong('`tasks` names none. Leave it out, or name at least one.');
  return [...new Set(tasks)];
}

/** Tasks but `main` need the tail: running everything here is the last resort, and answers `main` only. */
function plansFor(mode: Mode, tasks: readonly string[] | undefined): readonly [Plan, ...Plan[]] {
  const plans = plansOf(mode);
  if (!tasks?.some((name) => name !== MAIN_TASK)) return plans;
  const [first, ...others] = plans.filter((plan) => plan !== 'local');
  if (!first) throw wrong(`Tasks run at the tail, which the mode '${mode}' does not ask. Take another mode.`);
  return [
    first,
    ...others,
    ...(tasks.includes(MAIN_TASK) && plans.includes('local') ? (['local'] as const) : []),
  ];
}

/** The same choice while the tail is known to be away: what can be answered here is. Itself where that changes nothing. */
export function homeFirst(choice: Choice): Choice {
  const { plans, tasks, keep } = choice;
  if (plans.indexOf('local') <= 0 || keep || tasks?.some((name) => name !== MAIN_TASK)) return choice;
  return { ...choice, plans: ['local', ...plans.filter((plan) => plan !== 'local')] };
}

/** No later than the tasks allow. @throws CUT_INVALID for a cut that is */
function cutFor(
  manifest: Manifest,
  cut: number | undefined,
  tasks: readonly string[] | undefined,
): number | undefined {
  for (const task of manifest.tasks ?? []) {
    if (!tasks?.includes(task.name) || cut === undefined || cut <= task.cut) continue;
    const latest = manifest.cuts[task.cut]!.name;
    throw new IsthmusError(
      'CUT_INVALID',
      `The task '${task.name}' needs the feature at '${latest}', which comes before the cut '${manifest.cuts[cut]!.name}'. Cut at '${latest}' or before it.`,
    );
  }
  const hanging = (manifest.tasks ?? []).filter(({ name }) => tasks?.includes(name)).map((task) => task.cut);
  if (cut !== undefined || hanging.length === 0) return cut;
  return defaultCut(manifest, Math.min(...hanging));
}

/** Command lines and selects only know text: '2' is a name where a cut has it (exporters number tensors), else an index. */
function findCut(manifest: Manifest, cut: string | number): number {
  const named = manifest.cuts.some((c) => c.name === cut);
  return cutIndex(manifest, !named && typeof cut === 'string' && /^\d+$/.test(cut) ? Number(cut) : cut);
}

const wrong = (message: string) => new IsthmusError('OPTION_INVALID', message);
