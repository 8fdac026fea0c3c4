// `isthmus calibrate`: a model folder and labelled pictures in; codec profiles and measured bytes and accuracy per cut and
// preset into the folder, and a table of them.
import { type Command, InvalidArgumentError } from 'commander';
import { machine, type Row, table, writeReport } from '../../bench/report.ts';
import type { CutReport } from '../calibrate/calibrateModel.ts';
import { PRESETS, type PresetName } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';

interface CalibrateFlags {
  images: string;
  cuts?: string[];
  fitImages: number;
  trialImages: number;
  testImages: number;
  loss: number;
  presets: PresetName[];
  json?: string;
  exits?: boolean;
  uploads?: boolean;
  exitAgreement: number;
}

/** Between lines of progress that is not on a terminal. */
const QUIET_MS = 3000;

const DEFAULT_PRESETS: PresetName[] = ['raw', 'slicer', 'rans', 'isthmus-small', 'isthmus', 'isthmus-fine'];

export function registerCalibrate(program: Command): void {
  program
    .command('calibrate')
    .description('fit the codec to the cuts of a split model, and measure accuracy and bytes of presets')
    .argument('<model-folder>', 'a folder that `isthmus split` has written; profiles and figures go into it')
    .requiredOption(
      '--images <DIR>',
      'labelled pictures: labels.json {file: class index} beside them, or one sub-folder for each of the model’s classes, in the order of their names (of which the model may have been trained on all but every tenth)',
    )
    .option('--cuts <CUTS>', 'names of cuts, parted by commas (default: all)', names)
    .option('--fit-images <N>', 'pictures to take statistics from', wholeNumber, 120)
    .option('--trial-images <N>', 'other pictures, which decide how coarse', wholeNumber, 120)
    .option('--test-images <N>', 'yet others, to measure on', wholeNumber, 300)
    .option('--loss <NATS>', 'mean divergence from the whole model that quality 50 may cost', nats, 0.02)
    .option('--presets <NAMES>', 'presets to measure, parted by commas', presetNames, DEFAULT_PRESETS)
    .option(
      '--exits',
      'instead: find out when the early exits of the model may answer (pictures to fit to are not used)',
    )
    .option(
      '--exit-agreement <SHARE>',
      'share of the answers of an exit that must be those of the whole model',
      share,
      0.98,
    )
    .option(
      '--uploads',
      'instead: measure only what JPEG and WebP uploads of the `remote` plan cost and lose',
    )
    .option('--json <FILE>', 'also write what was tried and measured')
    .action(calibrate);
}

async function calibrate(folder: string, flags: CalibrateFlags, command: Command): Promise<void> {
  const started = performance.now();
  if (flags.exits) return calibrateExits(folder, flags, command, started);
  if (flags.uploads) return calibrateUploads(folder, flags, started);
  // onnxruntime-node is optional: the other commands do without it.
  const { calibrateModel } = await import('../calibrate/calibrateModel.ts');
  const reports = await calibrateModel(folder, {
    ...flags,
    progress: progressLine(started),
  }).finally(() => process.stderr.isTTY && process.stderr.write('\r\x1b[K'));
  const tried = reports.flatMap(candidateRows);
  const measured = reports.flatMap(measuredRows);
  if (tried.length > 0) console.log(`Profiles at a loss of ${flags.loss} nats\n\n${table(tried)}\n`);
  console.log(`Measured on pictures that no profile was made from\n\n${table(measured)}\n`);
  for (const { cut, profile } of reports) {
    if (profile && profile.best.loss > 1.1 * flags.loss)
      console.log(
        `${cut.name}: no profile keeps the loss; the best one loses ${profile.best.loss.toFixed(4)}.`,
      );
  }
  for (const { cut, reason } of reports) if (reason) console.log(`${cut.name} has no profile: ${reason}.`);
  console.log(`Written to ${folder}. A tail that watches the folder takes it over; another one on SIGHUP.`);
  if (flags.json) await writeReport(flags.json, { machine: machine(), tried, measured });
}

async function calibrateUploads(folder: string, flags: CalibrateFlags, started: number) {
  const { calibrateUploads } = await import('../calibrate/calibrateUploads.ts');
  const { images, testImages } = flags;
  const { encoder, settings } = await calibrateUploads(folder, {
    images,
    testImages,
    progress: progressLine(started),
  }).finally(() => process.stderr.isTTY && process.stderr.write('\r\x1b[K'));
  const rows = settings.map(({ format, quality, figures }) => figuresRow({ format, quality }, figures));
  console.log(`Uploads written by ${encoder}; browsers write others\n\n${table(rows)}\n`);
  console.log(`Written to ${folder}. A tail that watches the folder takes it over; another one on SIGHUP.`);
  if (flags.json) await writeReport(flags.json, { machine: machine(), encoder, uploads: rows });
}

/** All pictures that there are, unless fewer are asked for: a threshold is made from the few that are near it. */
async function calibrateExits(folder: string, flags: CalibrateFlags, command: Command, started: number) {
  const { calibrateExits } = await import('../calibrate/calibrateExits.ts');
  const all = (name: 'trialImages' | 'testImages') =>
    command.getOptionValueSource(name) === 'default' ? Number.MAX_SAFE_INTEGER : flags[name];
  const exits = await calibrateExits(folder, {
    images: flags.images,
    trialImages: all('trialImages'),
    testImages: all('testImages'),
    agreement: flags.exitAgreement,
    progress: progressLine(started),
  }).finally(() => process.stderr.isTTY && process.stderr.write('\r\x1b[K'));
  const rows = exits.map(
    ({ name, threshold, calibration: c = {} }): Row => ({
      exit: name,
      'answers when': threshold
        ? `${threshold.rule} ${threshold.rule === 'entropy' ? '≤' : '≥'} ${threshold.value}`
        : 'never',
      images: c.images ?? null,
      'ends here %': interval(c, 'coverage'),
      'as whole model %': interval(c, 'agreement'),
      'top-1 of these %': interval(c, 'top1'),
      'top-1 alone %': percent(c.aloneTop1),
      'top-1 with exit %': interval(c, 'mixedTop1'),
      'top-1 without %': interval(c, 'wholeTop1'),
    }),
  );
  console.log(`Measured on pictures that no threshold was made from\n\n${table(rows)}\n`);
  for (const { name, threshold } of exits)
    if (!threshold)
      console.log(
        `${name} never answers: no threshold keeps an agreement of ${flags.exitAgreement} on these pictures.`,
      );
  console.log(`Written to ${folder}. A tail that watches the folder takes it over; another one on SIGHUP.`);
  if (flags.json) await writeReport(flags.json, { machine: machine(), exits: rows });
}

const interval = (figures: Record<string, number>, name: string) =>
  `${percent(figures[name])} (${percent(figures[`${name}Low`])}…${percent(figures[`${name}High`])})`;

/** On a terminal one line that rewrites itself, elsewhere a line now and then. */
function progressLine(started: number): (line: string) => void {
  let last = -Infinity;
  return (line) => {
    const now = performance.now();
    const text = `${((now - started) / 1000).toFixed(0)} s ${line}`;
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
    else if (now - last >= QUIET_MS) process.stderr.write(`${text}\n`);
    else return;
    last = now;
  };
}

function candidateRows({ cut, profile }: CutReport): Row[] {
  return (profile?.candidates ?? []).map((c) => ({
    cut: cut.name,
    profile: c.recipe.name,
    step: c.step,
    rank: c.rank,
    bytes: Math.round(c.bytes),
    loss: Number(c.loss.toFixed(4)),
    'file bytes': c.file.length,
    chosen: c === profile?.best ? 'yes' : '',
  }));
}

function measuredRows({ cut }: CutReport): Row[] {
  return Object.entries(cut.calibration ?? {}).map(([preset, m]) => figuresRow({ cut: cut.name, preset }, m));
}

function figuresRow(what: Row, m: Record<string, number>): Row {
  return {
    ...what,
    images: m.images ?? null,
    bytes: m.bytes ?? null,
    '±': m.bytes === undefined || m.bytesLow === undefined ? null : Number((m.bytes - m.bytesLow).toFixed(1)),
    'top-1 %': percent(m.top1),
    'from…to': m.top1 === undefined ? null : `${percent(m.top1Low)}…${percent(m.top1High)}`,
    'as whole model %': percent(m.agreement),
    'divergence (nats)': m.kl ?? null,
  };
}

const percent = (share: number | undefined) =>
  share === undefined ? null : Number((100 * share).toFixed(1));

const names = (text: string) => text.split(',').map((name) => name.trim());

function presetNames(text: string): PresetName[] {
  return names(text).map((name) => {
    if (Object.hasOwn(PRESETS, name)) return name as PresetName;
    throw new IsthmusError(
      'OPTION_INVALID',
      `There is no preset '${name}'; there are ${Object.keys(PRESETS).join(', ')}.`,
    );
  });
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}

function share(text: string): number {
  const value = Number(text);
  if (value > 0 && value < 1) return value;
  throw new InvalidArgumentError('It must be a number between 0 and 1, such as 0.98.');
}

function nats(text: string): number {
  const value = Number(text);
  if (value > 0 && value <= 10) return value;
  throw new InvalidArgumentError('It must be a number above 0 and at most 10, such as 0.03.');
}
