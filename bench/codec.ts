// `isthmus bench codec`: what each codec family costs per size, on one CPU thread (TypeScript, WASM) and on a GPU in real
// Chromium, beside copying the tensor, beside the entropy of its symbols, beside gzip of float16 and int8 with deflate.
import { IsthmusError } from '../src/errors.ts';
import { type CodecCase, codecCases } from './codecCoders.ts';
import { type Feature, measureCpu, measureYardsticks } from './codecCpu.ts';
import { type FeatureSpec, SYNTHETIC, syntheticFeature } from './codecFeatures.ts';
import { codecFigures } from './codecFigures.ts';
import { GPU_DEVICES, type GpuDevice, type GpuPage, openGpuPage } from './codecGpu.ts';
import type { GpuTimes, PageCodec } from './codecPage.ts';
import { realFeatures } from './codecReal.ts';
import type { Budget } from './codecTiming.ts';
import { type BenchOptions, machine, publish, type Row, table } from './report.ts';

/** A feature, and how the page gets it: made there from its seed, or sent. */
interface Subject extends Feature {
  seed?: number;
}

const NOTES = [
  'Times in milliseconds, medians of runs that took turns. copy: CPU, a copy of the array; GPU, from the feature’s buffer',
  'to mapped memory. encode: from the feature to params and payload in JavaScript’s hands. select+compact: the frame of family',
  'slicer without the pass that packs bits, until the queue is done. decode on the GPU: until the feature is in its buffer.',
].join('\n');

/** Prints CPU rows, GPU rows and the table of figures. */
export async function benchCodec(options: BenchOptions & { device: GpuDevice }): Promise<void> {
  const { device, quick = false } = options;
  if (!GPU_DEVICES.includes(device))
    throw new IsthmusError('OPTION_INVALID', `--device is ${GPU_DEVICES.join(', ')}, not '${device}'.`);
  const budget: Budget = quick ? { ms: 300, rounds: 20 } : { ms: 1500, rounds: 200 };
  const subjects = [...(await realFeatures()), ...SYNTHETIC.filter((_, i) => !quick || i < 3).map(synthetic)];
  await using page = device === 'none' ? undefined : await openGpuPage(device);
  const cpu: Row[] = [];
  const gpu: Row[] = [];
  for (const subject of subjects) {
    console.log(`${subject.name}, ${subject.data.length} elements …`);
    const yardsticks = await measureYardsticks(subject, budget);
    await page?.upload(...uploadOf(subject));
    for (const codec of codecCases(subject.profile)) {
      const { row, checksum } = await measureCpu(subject, codec, yardsticks, budget);
      cpu.push(row);
      if (!page) continue;
      for (const scan of scansFor(page, subject)) {
        const times = await page.measure(pageCodec(codec, subject), scan, budget);
        if (times) gpu.push(gpuRow(page, row, scan, times, checksum));
      }
    }
  }
  const { name: gpuName, software = false } = page?.adapter ?? { name: undefined };
  const figures = codecFigures({ cpu, gpu, gpuName, software });
  const adapter = gpuName
    ? `${gpuName}${software ? ' (software: says nothing about hardware)' : ''}`
    : 'CPU only';
  const tables = [cpu, gpu, figures].filter((rows) => rows.length > 0).map(table);
  const rows = [...cpu, ...gpu, ...figures.map((figure) => ({ table: 'figures', ...figure }))];
  await publish({ machine: machine(), adapter, rows }, options, [...tables, NOTES].join('\n\n'));
}

const synthetic = (spec: FeatureSpec): Subject => ({ ...spec, data: syntheticFeature(spec) });

function uploadOf({ name, shape, seed, data }: Subject): [FeatureSpec, string?] {
  if (seed !== undefined) return [{ name, shape, seed }];
  const base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
  return [{ name, shape, seed: 0 }, base64];
}

/** Both ways of scanning where the figures ask for both; elsewhere the one that suits the adapter. */
function scansFor({ adapter }: GpuPage, { data }: Subject): readonly ('shared' | 'subgroup')[] {
  if (!adapter.subgroups) return ['shared'];
  if (data.length >= 2 ** 20) return ['shared', 'subgroup'];
  return adapter.software ? ['shared'] : ['subgroup'];
}

/** A profile travels to the page as its file. */
function pageCodec({ params }: CodecCase, { profileFile }: Subject): PageCodec {
  if (params.family !== 'isthmus' || !params.profile || !profileFile) return { params };
  const { profile, ...rest } = params;
  return { params: rest, profile: { name: profile.name, file: Buffer.from(profileFile).toString('base64') } };
}

function gpuRow(page: GpuPage, cpu: Row, scan: string, times: GpuTimes, checksum: number): Row {
  const ms = (value: number | undefined) => (value === undefined ? null : Number(value.toFixed(3)));
  const over = (value: number | undefined) =>
    value === undefined ? null : Number((value / times.copy).toFixed(2));
  return {
    adapter: page.adapter.name,
    software: page.adapter.software,
    feature: cpu.feature!,
    elements: cpu.elements!,
    codec: cpu.codec!,
    scan,
    'copy ms': ms(times.copy),
    'encode ms': ms(times.encode),
    'encode/copy': over(times.encode),
    'select+compact ms': ms(times.selectCompact),
    'select+compact/copy': over(times.selectCompact),
    'decode ms': ms(times.decode),
    dispatches: times.dispatches,
    submits: times.submits,
    maps: times.maps,
    bytes: times.bytes,
    'same bytes': times.checksum === checksum,
    'gzip time/ours': Number((Number(cpu['gzip ms']) / times.encode).toFixed(2)),
  };
}
