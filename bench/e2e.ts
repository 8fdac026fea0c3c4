// `isthmus bench e2e`: the main job measured. Every cut × preset beside the two rivals (everything here; the JPEG to the
// server), over a real tail on loopback: bytes up, milliseconds per stage, top-1, agreement with the whole model.
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Report } from '../src/client/resultTypes.ts';
import { createTailServer } from '../src/tail/index.ts';
import {
  type BenchClient,
  type BenchDevice,
  type BenchSession,
  benchClient,
  type RunChoice,
} from './benchClient.ts';
import { type Labelled, loadDataset, packageRoot } from './datasets.ts';
import { assembleFleet } from './fleet.ts';
import { type BenchOptions, machine, mean, median, publish, type Row } from './report.ts';

const PRESETS = ['raw', 'slicer', 'isthmus'] as const;
const STAGES = ['preprocess', 'head', 'encode', 'uplink', 'decode', 'tail', 'downlink', 'total'] as const;

interface Tally {
  choice: RunChoice;
  reports: Report[];
  right: number;
  agree: number;
}

/** Runs the benchmark and publishes its table. Without `--data` only the embedded model and drawn pictures are there. */
export async function benchE2e(
  options: BenchOptions & { device: BenchDevice; images?: number; profiles?: string },
): Promise<void> {
  // A software adapter needs seconds per picture; a quick look at it stays with the embedded model.
  const slow = options.quick === true && options.device === 'webgpu';
  const limit = options.images ?? (slow ? 2 : options.quick ? 10 : 100);
  if (!options.data) {
    console.log(
      'Without --data: the embedded model on this repository’s drawn pictures; no squeezenet, mobilenet, accuracy.',
    );
  }
  await using fleet = await assembleFleet(slow ? undefined : options.data, options.profiles);
  const app = join(packageRoot, 'dist-app');
  const server = await createTailServer({
    models: fleet.folder,
    port: 0,
    logger: false,
    ...(existsSync(app) ? { staticDir: app } : {}),
  });
  const rows: Row[] = [];
  let adapter = '';
  let client: BenchClient | undefined;
  try {
    client = await benchClient(options.device, server.url, existsSync(app));
    for (const { name, dataset } of fleet.models) {
      const images = await loadDataset(dataset, options.data, limit);
      const session = await client.open(`${server.url}/models/${name}`);
      adapter = `${options.device}: ${session.adapter}`;
      console.log(`${name}: ${images.length} pictures × ${plans(session).length} plans …`);
      rows.push(...(await measure(session, images)).map((tally) => row(name, options.device, tally, images)));
      await session.close();
    }
  } finally {
    await client?.close();
    await server.close();
  }
  await publish({ machine: machine(), adapter, rows }, options);
}

/** The whole local model comes first: the others are compared with its answer on each picture. */
function plans(session: BenchSession): RunChoice[] {
  const splits = session.manifest.cuts.flatMap((cut) =>
    PRESETS.map((codec): RunChoice => ({ mode: 'only-split', cut: cut.name, codec })),
  );
  return [{ mode: 'only-local' }, { mode: 'only-remote' }, ...splits];
}

/** Pictures in the outer loop, so that a machine that slows down slows every plan alike. */
async function measure(session: BenchSession, images: readonly Labelled[]): Promise<Tally[]> {
  const tallies = plans(session).map((choice): Tally => ({ choice, reports: [], right: 0, agree: 0 }));
  const first = images[0];
  if (!first) return [];
  const warm = await readFile(first.path);
  for (const { choice } of tallies) await session.run(warm, choice);
  for (const { path, label } of images) {
    const bytes = await readFile(path);
    let whole = -1;
    for (const tally of tallies) {
      const { top, report } = await session.run(bytes, tally.choice);
      if (tally.choice.mode === 'only-local') whole = top;
      tally.reports.push(report);
      tally.right += Number(top === label);
      tally.agree += Number(top === whole);
    }
  }
  return tallies;
}

function row(
  model: string,
  device: BenchDevice,
  { choice, reports, right, agree }: Tally,
  images: readonly Labelled[],
): Row {
  const labelled = images.some((image) => image.label !== undefined);
  const stages = STAGES.map((stage) => {
    const times = reports.map((report) => report.ms[stage]).filter((ms): ms is number => ms !== undefined);
    return [`${stage}Ms`, times.length > 0 ? round(median(times)) : null] as const;
  });
  return {
    model,
    device,
    plan: choice.mode.slice('only-'.length),
    cut: choice.cut ?? '',
    preset: choice.codec ?? '',
    images: images.length,
    bytesUp: Math.round(mean(reports.map((report) => report.bytes.up))),
    rawBytes: reports[0]?.bytes.raw ?? null,
    ...Object.fromEntries(stages),
    top1: labelled ? right / images.length : null,
    agreement: agree / images.length,
  };
}

const round = (ms: number) => Math.round(ms * 100) / 100;
