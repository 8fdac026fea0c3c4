// `isthmus bench exits`: photos through the embedded model with its exits asked, beside the same photos without, in turns, over a
// link of 50 ms there and back: who answers, after how long, with how many bytes, and whether the class is the same.
import { readFile } from 'node:fs/promises';
import { tcpProxy } from '../e2e/faults/tcpProxy.ts';
import type { Report } from '../src/client/resultTypes.ts';
import { connect } from '../src/index.node.ts';
import { createTailServer } from '../src/tail/index.ts';
import { loadDataset } from './datasets.ts';
import { assembleFleet } from './fleet.ts';
import { type BenchOptions, machine, mean, median, publish, type Row } from './report.ts';

const EACH_WAY_MS = 25;

interface Answer {
  report: Report;
  /** Whether the class is that of the run without exits. */
  same: boolean;
}

/** Runs the benchmark and publishes its table. Without `--data` only this repository's drawn pictures are there. */
export async function benchExits(options: BenchOptions & { images?: number }): Promise<void> {
  const images = await loadDataset('imagenette', options.data, options.images ?? (options.quick ? 20 : 100));
  await using fleet = await assembleFleet(undefined);
  const server = await createTailServer({ models: fleet.folder, port: 0, logger: false });
  try {
    await using link = await tcpProxy(server.port);
    await using session = await connect(`http://127.0.0.1:${link.port}/models/${fleet.models[0]!.name}`, {
      ...{ transport: 'fetch', hedge: false },
    });
    const photos = await Promise.all(images.map(({ path }) => readFile(path)));
    for (const exits of ['auto', 'off'] as const) await session.run(photos[0]!, { exits });
    link.set({ latencyMs: EACH_WAY_MS });
    const asked: Answer[] = [];
    const without: Answer[] = [];
    for (const photo of photos) {
      const whole = await session.run(photo, { exits: 'off' });
      const early = await session.run(photo, { exits: 'auto' });
      without.push({ report: whole.report, same: true });
      asked.push({ report: early.report, same: early.labels?.[0]?.index === whole.labels?.[0]?.index });
    }
    const ended = asked.filter(({ report }) => report.ran === 'exit');
    const rows = [
      row('asked', asked),
      row('asked, answered by one', ended),
      row(
        'asked, none was sure',
        asked.filter((answer) => !ended.includes(answer)),
      ),
      row('off', without),
    ];
    await publish({ machine: machine(), adapter: session.device.adapter, rows }, options);
  } finally {
    await server.close();
  }
}

function row(exits: string, answers: readonly Answer[]): Row {
  const times = answers.map(({ report }) => report.ms.total);
  return {
    exits,
    answers: answers.length,
    medianMs: round(median(times)),
    meanMs: round(mean(times)),
    bytesUp: round(mean(answers.map(({ report }) => report.bytes.up))),
    sameClass: answers.filter(({ same }) => same).length,
  };
}

const round = (x: number) => Math.round(10 * x) / 10;
