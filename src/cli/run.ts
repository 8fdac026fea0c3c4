// `isthmus run`: photos in, answers out, through the same API that a page uses. Prints a table, or one JSON array.
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Report } from '../client/resultTypes.ts';
import type { ConnectProgress, Label, Mode, Session } from '../client/types.ts';
import { PRESETS, type PresetName } from '../codec/params.ts';
import { type ErrorJSON, IsthmusError } from '../errors.ts';
import { MAX_PICTURE_BYTES } from '../image/limits.ts';
import { connect } from '../index.node.ts';
import { topLabels } from '../model/topLabels.ts';

const MODES: readonly Mode[] = [
  'prefer-split',
  'only-split',
  'prefer-local',
  'only-local',
  'prefer-remote',
  'only-remote',
];

interface RunFlags {
  mode: Mode;
  cut?: string;
  preset: PresetName;
  json?: boolean;
  token?: string;
  top: number;
}

/** One element of `--json`; `error` stands in for `labels` and `report` where an image failed. */
type Entry = { image: string } & ({ labels: Label[]; report: Report } | { error: ErrorJSON });

export function registerRun(program: Command): void {
  program
    .command('run')
    .description('answer pictures: the first layers here, the rest at ENDPOINT')
    .argument('<endpoint>', 'address of a model, such as http://localhost:8787/models/NAME')
    .argument('<image...>', 'picture files')
    .addOption(new Option('--mode <mode>', 'how to compute').choices(MODES).default('prefer-split'))
    .option('--cut <name>', 'cut to split at, by name or index (default: chosen from the manifest)')
    .addOption(
      new Option('--preset <name>', 'codec of the feature').choices(Object.keys(PRESETS)).default('isthmus'),
    )
    .option('--json', 'print one JSON array and nothing else')
    .addOption(new Option('--token <token>', 'bearer token of the tail').env('ISTHMUS_TOKEN'))
    .option('--top <k>', 'labels per picture', wholeNumber, 5)
    .action(run);
}

async function run(endpoint: string, images: string[], flags: RunFlags): Promise<void> {
  const progress = process.stderr.isTTY ? progressLine() : undefined;
  const session = await connect(endpoint, {
    mode: flags.mode,
    codec: flags.preset,
    ...(flags.cut !== undefined && { cut: flags.cut }),
    ...(flags.token && { token: flags.token }),
    ...(progress && { onProgress: progress.draw }),
  }).finally(() => progress?.wipe());
  try {
    const entries: Entry[] = [];
    for (const image of images) {
      const entry = await answer(session, image, flags.top);
      progress?.wipe(); // a plan that was fallen back to may have loaded more
      entries.push(entry);
      if (!flags.json) process.stdout.write(`${'error' in entry ? failed(entry) : text(entry)}\n`);
    }
    if (flags.json) process.stdout.write(`${JSON.stringify(entries, null, 1)}\n`);
    const failures = entries.filter((e) => 'error' in e);
    if (failures.length > 0) {
      for (const { image, error } of failures) {
        process.stderr.write(`isthmus: ${error.code}: ${image}: ${error.message}\n`);
      }
      process.exitCode = 1;
    }
  } finally {
    await session.close();
  }
}

/** One image; its failure is its own, so that the others are still answered. */
async function answer(session: Session, image: string, top: number): Promise<Entry> {
  try {
    const { outputs, report } = await session.run(await readImage(image));
    return { image, labels: topLabels(session.manifest, outputs, top) ?? [], report };
  } catch (thrown) {
    return { image, error: IsthmusError.from(thrown, 'INTERNAL', 'This image failed').toJSON() };
  }
}

async function readImage(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > MAX_PICTURE_BYTES) {
      const mib = (size / 1048576).toFixed(1);
      throw new IsthmusError(
        'IMAGE_TOO_LARGE',
        `The picture has ${mib} MiB, the limit is ${MAX_PICTURE_BYTES / 1048576} MiB. Save it smaller.`,
      );
    }
    return await readFile(path);
  } catch (thrown) {
    throw IsthmusError.from(thrown, 'IMAGE_INVALID', 'The file cannot be read; check the path.');
  }
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1) return value;
  throw new InvalidArgumentError('It must be a whole number of at least 1.');
}

const STAGES = [
  'preprocess',
  'head',
  'encode',
  'uplink',
  'decode',
  'queue',
  'tail',
  'downlink',
  'total',
] as const;

function text({ image, labels, report }: Extract<Entry, { report: Report }>): string {
  const { ran, cut, preset, bytes, ms, degraded } = report;
  const best = labels.map((l) => `${l.label} ${(100 * l.score).toFixed(1)} %`).join(', ');
  const way = ran === 'split' ? `split at ${cut}, ${preset}` : ran;
  const raw = bytes.raw === undefined ? '' : ` of ${bytes.raw} B raw`;
  const traffic = ran === 'local' ? '' : ` · ${bytes.up} B up${raw}, ${bytes.down} B down`;
  const stages = STAGES.flatMap((s) => (ms[s] === undefined ? [] : [`${s} ${ms[s].toFixed(1)}`])).join(' · ');
  const lines = [
    `${basename(image)}: ${best || 'no labels; use --json or the API for the outputs'}`,
    `  ${way}${traffic}`,
    `  ms: ${stages}`,
  ];
  if (degraded) lines.push(`  degraded: ${degraded}`);
  return lines.join('\n');
}

const failed = ({ image, error }: Extract<Entry, { error: ErrorJSON }>) =>
  `${basename(image)}: ${error.code}, see below`;

/** One line on stderr that rewrites itself. */
function progressLine() {
  const write = (line: string) => void process.stderr.write(`\r\x1b[K${line}`);
  return {
    draw({ stage, loaded, total }: ConnectProgress) {
      write(total > 0 ? `${stage} ${Math.floor((100 * loaded) / total)} %` : stage);
    },
    wipe: () => write(''),
  };
}
