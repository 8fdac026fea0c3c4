// `isthmus bench load`: a real tail under open-loop load at rising rates over each transport, beside the same segments called
// in-process by onnxruntime-node. Server, generator and yardstick are processes of their own.
import { join } from 'node:path';
import type { PresetName } from '../src/codec/index.ts';
import { loadRegistry } from '../src/tail/models/modelStore.ts';
import { assembleFleet } from './fleet.ts';
import { TRANSPORTS, type TransportName } from './loadChannels.ts';
import { type LoadAnswer, type LoadQuestion, type OpenQuestion, playClient } from './loadClient.ts';
import { type BatchFigure, type InProcessQuestion, playInProcess } from './loadInProcess.ts';
import { startRole } from './loadRoles.ts';
import { playServer, type ServerAnswer, type ServerQuestion, type Usage } from './loadServer.ts';
import { type BenchOptions, machine, median, publish, type Row, table } from './report.ts';

export interface LoadOptions extends BenchOptions {
  /** This process is a part of the benchmark. */
  role?: string;
  threads?: string;
  transports?: string;
}

const ROLES: Record<string, () => Promise<void>> = {
  server: playServer,
  client: playClient,
  inprocess: playInProcess,
};

/** What is measured: the embedded model at the cut whose raw feature is nearest to 50 KB, and a heavier one with `--data`. */
const SUBJECTS: { model: string; cut: string | undefined; codec: PresetName }[] = [
  { model: 'neck10', cut: 'neck0', codec: 'raw' },
  { model: 'neck10', cut: 'neck0', codec: 'isthmus' },
  { model: 'mobilenetv2', cut: undefined, codec: 'raw' },
];
const BATCHES = [1, 2, 4, 8, 16];
/** Of the capacity that was found. */
const SHARES = [0.25, 0.5, 0.75, 0.9, 1, 1.5, 5];
const LIGHT_RATE = 20;
const DEADLINE_MS = 1000;
const FEATURE_BYTES = 50_000;

export async function benchLoad(options: LoadOptions): Promise<void> {
  if (options.role !== undefined) return ROLES[options.role]?.();
  const threads = Number.parseInt(options.threads ?? '1', 10);
  const wanted = options.transports?.split(',') ?? TRANSPORTS;
  const ms = options.quick ? 1500 : 5000;
  await using fleet = await assembleFleet(options.data);
  const { models } = await loadRegistry(fleet.folder);
  const rows: Row[] = [];
  for (const { model, cut: name, codec } of SUBJECTS) {
    const manifest = models.get(model)?.manifest;
    if (!manifest || (options.quick && codec !== 'raw')) continue;
    const nearest = (bytes: number) => Math.abs(Math.log(bytes / FEATURE_BYTES));
    const cut = manifest.cuts
      .map((c, index) => ({ ...c, index }))
      .filter((c) => c.tensors.length === 1 && (name === undefined || c.name === name))
      .reduce((a, b) => (nearest(b.rawBytes) < nearest(a.rawBytes) ? b : a));
    const batches = typeof cut.tensors[0]!.shape[0] === 'string' ? BATCHES : [1];
    const subject = { model, cut: cut.name, codec };
    const yardstick: InProcessQuestion = {
      folder: join(fleet.folder, model),
      manifest,
      first: cut.index + 1,
      threads,
      batches,
      ms: options.quick ? 300 : 1000,
    };
    await using inProcess = startRole('inprocess');
    const figures: BatchFigure[][] = [];
    const light: number[] = [];
    const measureYardstick = async () => {
      figures.push(await inProcess.ask<BatchFigure[]>('measure', yardstick));
      const paced = { ...yardstick, batches: [1], ms: 2 * yardstick.ms, pace: LIGHT_RATE };
      light.push((await inProcess.ask<BatchFigure[]>('measure', paced))[0]!.ms);
    };
    const measured: Row[] = [];
    for (const transport of TRANSPORTS.filter((t) => wanted.includes(t))) {
      await measureYardstick();
      console.log(`${model} at ${cut.name}, ${codec}, over ${transport} …`);
      const server: ServerQuestion = { models: fleet.folder, threads, secure: transport === 'webtransport' };
      measured.push(...(await underLoad(transport, server, { manifest, cut: cut.index, codec }, ms)));
    }
    await measureYardstick();
    const best = Math.max(...batches.map((_, i) => median(figures.map((round) => round[i]!.rate))));
    const alone = median(light);
    rows.push({ ...subject, transport: `in-process, ${LIGHT_RATE} a second`, p50: alone });
    for (const [i, batch] of batches.entries()) {
      const rate = median(figures.map((round) => round[i]!.rate));
      const each = median(figures.map((round) => round[i]!.ms));
      const cpuPer1k = median(figures.map((round) => round[i]!.cpuPer1k));
      rows.push({
        ...subject,
        transport: `in-process, batch ${batch}`,
        goodput: rate,
        p50: each,
        cpuPer1k,
        ratioToInProcess: rate / best,
      });
    }
    for (const row of measured)
      rows.push({
        ...subject,
        ...row,
        ratioToInProcess: Number(row.goodput) / best,
        added: row.share === 'light' ? Number(row.p50) - alone : null,
      });
  }
  const adapter = `onnxruntime-node, CPU, ${threads} thread(s) for server and yardstick; generator in a process of its own`;
  await publish({ machine: machine(), adapter, rows }, options, table(rows));
}

/** Finds the capacity in a closed loop, then goes through shares of it in an open one. */
async function underLoad(
  transport: TransportName,
  question: ServerQuestion,
  what: Pick<OpenQuestion, 'manifest' | 'cut' | 'codec'>,
  ms: number,
): Promise<Row[]> {
  await using server = startRole('server', profiling(transport));
  await using client = startRole('client');
  const address = await server.ask<ServerAnswer>('start', question);
  const { bytes } = await client.ask<{ bytes: number }>('open', { transport, server: address, ...what });
  const load = (rate: number, workers = 0, time = ms) =>
    client.ask<LoadAnswer>('load', {
      rate,
      workers,
      ms: time,
      deadlineMs: DEADLINE_MS,
    } satisfies LoadQuestion);
  await load(0, 1, 500);
  await load(0, 32, ms / 2); // sessions are loaded, code is compiled, the best batch is found
  const row = async (share: string, rate: number, workers = 0): Promise<Row> => {
    const before = await server.ask<Usage>('usage');
    const answer = await load(rate, workers);
    const after = await server.ask<Usage>('usage');
    return {
      transport,
      bytes,
      share,
      offered: rate > 0 ? rate : answer.sent / (ms / 1000),
      goodput: answer.goodput,
      p50: answer.p50,
      p95: answer.p95,
      p99: answer.p99,
      refused: answer.refused,
      refusedMs: Number.isNaN(answer.refusedMs) ? null : answer.refusedMs,
      errors: Object.entries(answer.errors)
        .map(([code, count]) => `${code} ${count}`)
        .join(' '),
      cpuPer1k: (1000 * (after.cpu - before.cpu)) / Math.max(1, answer.ok),
      rss: after.rss,
      late: answer.late,
    };
  };
  const rows = [await row('light', LIGHT_RATE), await row('closed loop, 32', 0, 32)];
  const capacity = Number(rows[1]!.goodput);
  for (const share of SHARES) rows.push(await row(`${share}×`, share * capacity));
  return rows;
}

/** `ISTHMUS_CPU_PROFILE=DIR` writes a profile of the server for each transport. */
function profiling(transport: string): string[] {
  const dir = process.env.ISTHMUS_CPU_PROFILE;
  return dir ? ['--cpu-prof', `--cpu-prof-dir=${dir}/${transport}`] : [];
}
