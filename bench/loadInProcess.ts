// The yardstick of the load benchmark: the same segments in onnxruntime-node and nothing else, in a process of its own, one
// batch after the other.
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { concreteShape, type Manifest } from '../src/model/manifest.ts';
import { elementCount } from '../src/tensor.ts';
import { playRole } from './loadRoles.ts';
import { median } from './report.ts';

export interface InProcessQuestion {
  folder: string;
  manifest: Manifest;
  /** The first segment. */
  first: number;
  threads: number;
  /** 1 where the model has no batch dimension. */
  batches: number[];
  /** Of each batch size. */
  ms: number;
  /** Calls a second; without it, one after the other. A processor that had a pause is slower. */
  pace?: number;
}

export interface BatchFigure {
  batch: number;
  /** Items a second. */
  rate: number;
  /** Median of a batch. */
  ms: number;
  /** Seconds of processor time for 1000 items. */
  cpuPer1k: number;
}

export async function playInProcess(): Promise<void> {
  let folder = '';
  let sessions: InferenceSession[] = [];
  await playRole(
    {
      async measure(question: InProcessQuestion): Promise<BatchFigure[]> {
        const { manifest, first, threads, batches, ms, pace } = question;
        if (folder !== question.folder) {
          sessions = [];
          for (const { file } of manifest.segments.slice(first))
            sessions.push(await InferenceSession.create(join(question.folder, file), options(threads)));
          folder = question.folder;
        }
        const info = manifest.cuts[first - 1]!.tensors[0]!;
        const runs = batches.map((batch) => {
          const shape = [batch, ...concreteShape(info).slice(1)];
          const data = Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(i * 12.9898));
          return {
            batch,
            times: [] as number[],
            cpu: 0,
            feeds: { [info.name]: new Tensor('float32', data, shape) },
          };
        });
        const run = async (feeds: Record<string, Tensor>) => {
          let values: InferenceSession.OnnxValueMapType = feeds;
          for (const session of sessions) values = await session.run(values);
        };
        for (const { feeds } of runs) for (let i = 0; i < 3; i++) await run(feeds);
        // In turn, so that what slows the machine down slows every size alike.
        for (const end = performance.now() + ms * batches.length; performance.now() < end; ) {
          for (const figure of runs) {
            if (pace !== undefined) await new Promise((resolve) => setTimeout(resolve, 1000 / pace));
            const before = process.cpuUsage();
            const started = performance.now();
            await run(figure.feeds);
            figure.times.push(performance.now() - started);
            const { user, system } = process.cpuUsage(before);
            figure.cpu += (user + system) / 1e6;
          }
        }
        return runs.map(({ batch, times, cpu }) => {
          const [total, items] = [times.reduce((a, b) => a + b, 0), batch * times.length];
          return { batch, rate: (1000 * items) / total, ms: median(times), cpuPer1k: (1000 * cpu) / items };
        });
      },
    },
    async () => undefined,
  );
}

/** As the tail's threads have them. */
const options = (threads: number): InferenceSession.SessionOptions => ({
  intraOpNumThreads: threads,
  interOpNumThreads: 1,
  logSeverityLevel: 3,
  extra: { session: { intra_op: { allow_spinning: '0' } } },
});
