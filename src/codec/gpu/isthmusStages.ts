// The arena ranges and dispatches of one `isthmus` tensor. At most eight dispatches: statistics (without a profile), fixed point,
// channel transform, rows, columns with the quantiser; then, if lanes are coded here, items, tables, lanes, compaction.
import { NEIGHBOUR_TABLES, TOKENS } from '../profile.ts';
import { deadZoneOf } from '../reference/encodeIsthmus.ts';
import type { Region, Stage, Tables, Work } from './family.ts';
import {
  analysisOf,
  basisOf,
  classesOf,
  meansOf,
  NO_MEANS,
  NOTHING,
  stepsOf,
  weightsOf,
} from './isthmusConstants.ts';
import { type IsthmusJob, LANES_PER_WORKGROUP } from './isthmusJob.ts';
import { ISTHMUS_SHADERS } from './isthmusShaders.ts';
import { geometryOf, uniformWords } from './isthmusUniform.ts';
import { CODER_SHADERS } from './ransShaders.ts';
import type { Tuning } from './tuning.ts';

/** Words of `State` in isthmusState.wgsl. */
const STATE_WORDS = 5;
/** Words of `Lanes` before its array, and of a `Lane`, in ransCoder.wgsl. */
const LANES_WORDS = 2;
const LANE_WORDS = 6;
const SENT_WORDS = NEIGHBOUR_TABLES * TOKENS;
/** Symbols that one invocation of items.wgsl takes in a row. */
const RUN = 8;
/** STEP_… of isthmusState.wgsl. */
const STEP_RULES = { fixed: 0, relative: 1, absolute: 2 } as const;

export function isthmusWork(job: IsthmusJob, tuning: Tuning): Work {
  const { feature, plan, setup, division, symbols, lanes, sends } = job;
  const { profile } = plan;
  const { view, block } = setup;
  const { workgroup, workgroups } = tuning;
  const mixing = setup.transform;
  const area = view.rows * view.columns;
  const stride = mixing ? 4 * Math.ceil(area / 4) : area;
  const elements = Math.max(view.planes * stride, symbols);
  const regions: Record<string, Region> = {
    state: { bytes: 4 * STATE_WORDS, zeroed: true, output: true },
    one: { bytes: 4 * elements },
    two: { bytes: 4 * elements },
  };
  const uniform = uniformOf(job, stride);
  const stages: Stage[] = [];
  /** @param tasks what the invocations share among them, or the exact number of workgroups */
  const add = (
    name: keyof typeof ISTHMUS_SHADERS,
    storage: readonly string[],
    tables: readonly Tables[],
    tasks: number,
    constants: Record<string, number> = {},
  ) => {
    const pass = { name: `isthmus ${name}`, code: ISTHMUS_SHADERS[name], constants };
    const count = Math.min(workgroups, Math.max(1, Math.ceil(tasks / workgroup)));
    stages.push({
      uniform,
      storage,
      tables,
      dispatches: [
        { pass: { ...pass, constants: { WORKGROUP: workgroup, ...constants } }, workgroups: count },
      ],
    });
  };
  const ofFeature = { FEATURE_FLOAT16: feature.dtype === 'float16' ? 1 : 0 };

  if (!profile || plan.step.kind === 'relative') add('stats', ['state'], [], feature.count, ofFeature);
  add('fix', ['state', 'one'], [setup.means ? meansOf(setup.means) : NO_MEANS], feature.count, ofFeature);
  let [from, to] = ['one', 'two'];
  const transform = (name: 'mix' | 'rows', table: Tables, tasks: number) => {
    add(name, ['state', from, to], [table], tasks);
    [from, to] = [to, from];
  };
  if (mixing) transform('mix', analysisOf(mixing, setup.rank), elements / 16);
  if (block[1] > 1) transform('rows', basisOf(block[1]).forward, symbols / 4);
  if (division === 'coefficients') {
    regions.coefficients = { bytes: 4 * symbols, output: true };
    add('coefficients', ['state', from, 'coefficients'], [basisOf(block[0]).forward], symbols / 4);
    return { regions, stages };
  }
  regions.quantised = { bytes: 2 * symbols, zeroed: true, output: true };
  add(
    'columns',
    ['state', from, 'quantised'],
    [basisOf(block[0]).forward, weightsOf(setup.weights)],
    symbols / 4,
  );
  if (division === 'symbols') return { regions, stages };

  regions.table = { bytes: 4 * Math.max(SENT_WORDS, setup.tables.length) };
  regions.lanes = { bytes: 4 * (LANES_WORDS + LANE_WORDS * lanes), output: true };
  const runs = symbols / RUN;
  const classes = setup.classes ? classesOf(setup.classes) : NOTHING;
  const byClass = { CLASSES: setup.classes ? 1 : 0 };
  if (sends) {
    regions.counts = { bytes: 4 * SENT_WORDS, zeroed: true };
    regions.frequencies = { bytes: 4 * SENT_WORDS, output: true };
    const name = tuning.sharedBins ? 'itemsShared' : 'itemsCounted';
    add(name, ['state', 'quantised', 'one', 'counts'], [classes], runs, byClass);
    add('tables', ['state', 'counts', 'table', 'frequencies'], [], 1);
  } else {
    add('items', ['state', 'quantised', 'one', 'table'], [classes, stepsOf(setup.tables)], runs, byClass);
  }
  // Lanes are compacted into `quantised`, which nobody needs any more; where they do not fit, it stays and the CPU codes it.
  stages.push({
    uniform,
    storage: ['lanes', 'one', 'two', 'quantised', 'table'],
    dispatches: [
      {
        pass: {
          name: 'isthmus lanes',
          code: ISTHMUS_SHADERS.lanes,
          constants: { WORKGROUP: LANES_PER_WORKGROUP },
        },
        workgroups: Math.ceil(lanes / LANES_PER_WORKGROUP),
      },
      {
        pass: {
          name: 'rans compactLanes',
          code: CODER_SHADERS.compactLanes,
          constants: { WORKGROUP: workgroup },
        },
        workgroups: Math.min(workgroups, Math.ceil(symbols / 2 / workgroup)),
      },
    ],
  });
  return { regions, stages };
}

function uniformOf({ feature, plan, setup, symbols, lanes }: IsthmusJob, stride: number): Uint32Array {
  const { profile, step } = plan;
  return uniformWords({
    ...geometryOf(setup, lanes),
    count: feature.count,
    symbols,
    stride,
    exponent: profile?.exponent ?? 0,
    deadZone: deadZoneOf(plan),
    shift: profile?.transform?.shiftA ?? 0,
    ...(step.kind === 'fixed' && { stepRule: STEP_RULES.fixed, stepValue: step.step }),
    ...(step.kind === 'relative' && { stepRule: STEP_RULES.relative, stepValue: step.budgetQ16 }),
    ...(step.kind === 'absolute' && { stepRule: STEP_RULES.absolute, stepValue: step.bits }),
  });
}
