// The figures P1 to P13 that the codec is held against, from the rows of the codec benchmark. What was measured on a
// software adapter says so; it stands for no hardware.
import type { Row } from './report.ts';

interface Context {
  cpu: readonly Row[];
  gpu: readonly Row[];
  /** In words; undefined when there are no GPU rows. */
  gpuName: string | undefined;
  software: boolean;
}

interface Figure {
  id: string;
  what: string;
  reach: string;
  beyond: string;
  measured: string;
  adapter: string;
}

const LARGE = 2 ** 20;
const DESKTOP = 2 ** 18;
const FAMILIES = ['slicer', 'rans', 'isthmus'] as const;
/** One feature per line, so that a figure names its worst. */
type Measure = (row: Row) => number | null;

const column =
  (name: string): Measure =>
  (row) => {
    const value = row[name];
    return typeof value === 'number' ? value : null;
  };

/** `worst` of the numbers that rows have, with the feature it was found on. */
function extreme(rows: readonly Row[], measure: Measure, worst: 'highest' | 'lowest'): string | undefined {
  const found = rows.flatMap((row) => {
    const value = measure(row);
    return value === null ? [] : [{ value, row }];
  });
  if (found.length === 0) return undefined;
  const { value, row } = found.reduce((a, b) => ((worst === 'highest') === b.value > a.value ? b : a));
  return `${short(value)} (${row.feature})`;
}

const short = (x: number) => (Math.abs(x) >= 100 ? x.toFixed(0) : x >= 10 ? x.toFixed(1) : x.toFixed(3));
const from = (rows: readonly Row[], elements: number) =>
  rows.filter((row) => Number(row.elements) >= elements);
const upTo = (rows: readonly Row[], elements: number) =>
  rows.filter((row) => Number(row.elements) <= elements);
const ofFamily = (rows: readonly Row[], family: string) => rows.filter((row) => row.codec === family);
const isthmus = (rows: readonly Row[]) => rows.filter((row) => String(row.codec).startsWith('isthmus'));
const synthetic = (rows: readonly Row[]) => rows.filter((row) => !String(row.feature).startsWith('neck10'));

/** A value per family, worst first seen. */
function perFamily(rows: readonly Row[], measure: Measure, worst: 'highest' | 'lowest' = 'highest'): string {
  return FAMILIES.map((family) => {
    const found = extreme(ofFamily(rows, family), measure, worst);
    return `${family} ${found ?? '—'}`;
  }).join(', ');
}

/** The table of figures; `reach` and `beyond` as the project set them. */
export function codecFigures(context: Context): Row[] {
  const { cpu, gpu, gpuName, software } = context;
  const onGpu = !gpuName
    ? 'no GPU rows in this run; not measured on hardware'
    : software
      ? `software adapter (${gpuName}); not measured on hardware`
      : gpuName;
  const thread = 'CPU, one thread';
  const withScan = (scan: string) => from(gpu, LARGE).filter((row) => row.scan === scan);
  const over =
    (of: string): Measure =>
    (row) => {
      const value = column(of)(row);
      return value === null ? null : value / Number(row['copy ms']);
    };
  const same = gpu.filter((row) => row['same bytes'] === true).length;
  const frame = column('frame/entropy');
  const figures: Figure[] = [
    {
      id: 'P1',
      what: 'GPU encode / copy, ≥ 1 Mi elements, subgroups; worst',
      reach: '≤ 3.0',
      beyond: '≤ 2.0',
      measured: perFamily(withScan('subgroup'), over('encode ms')),
      adapter: onGpu,
    },
    {
      id: 'P2',
      what: 'the same without subgroups',
      reach: '≤ 4.5',
      beyond: '≤ 3.0',
      measured: perFamily(withScan('shared'), over('encode ms')),
      adapter: onGpu,
    },
    {
      id: 'P3',
      what: 'select + compact / copy, ≥ 1 Mi elements; worst',
      reach: '≤ 2.0',
      beyond: '≤ 1.5',
      measured: extreme(from(gpu, LARGE), over('select+compact ms'), 'highest') ?? '—',
      adapter: onGpu,
    },
    {
      id: 'P4',
      what: 'ms added after the head (encode on the GPU), ≤ 256 Ki elements; worst',
      reach: '≤ 2',
      beyond: '≤ 1',
      measured: perFamily(upTo(gpu, DESKTOP), column('encode ms')),
      adapter: onGpu,
    },
    {
      id: 'P6',
      what: 'dispatches / submits / maps per frame; most',
      reach: '12/1/1',
      beyond: '8/1/1',
      measured: FAMILIES.map((family) => `${family} ${most(ofFamily(gpu, family))}`).join(', '),
      adapter: gpuName ?? '—',
    },
    {
      id: 'P7',
      what: 'rANS stream / order-0 entropy of its symbols, family rans, ≥ 16 Ki symbols; worst',
      reach: '≤ 1.02',
      beyond: '≤ 1.01',
      measured:
        extreme(
          ofFamily(cpu, 'rans').filter((row) => Number(row.symbols) >= 2 ** 14),
          column('stream/entropy'),
          'highest',
        ) ?? '—',
      adapter: 'any',
    },
    {
      id: 'P8',
      what: 'isthmus frame / order-0 entropy of its symbols; worst real, worst synthetic from 16 Ki',
      reach: '≤ 0.90',
      beyond: '≤ 0.80',
      measured: ['isthmus', 'isthmus none', 'isthmus profile']
        .map((codec) => {
          const rows = ofFamily(cpu, codec);
          const real = rows.filter((row) => String(row.feature).startsWith('neck10'));
          const made = from(synthetic(rows), 2 ** 14);
          return `${codec} ${extreme(real, frame, 'highest') ?? '—'} · ${extreme(made, frame, 'highest') ?? '—'}`;
        })
        .join(', '),
      adapter: 'any',
    },
    {
      id: 'P9',
      what: 'TypeScript decode, Msym/s, ≥ 64 Ki elements; best: coder of rans alone, then whole tensors',
      reach: '≥ 100',
      beyond: '150',
      measured: `coder ${best(cpu, 'coder TS Msym/s')}, rans ${best(ofFamily(cpu, 'rans'), 'decode TS Msym/s')}, isthmus ${best(isthmus(cpu), 'decode TS Msym/s')}`,
      adapter: thread,
    },
    {
      id: 'P10',
      what: 'WASM decode, Msym/s, and times TypeScript',
      reach: '≥ 2 × P9',
      beyond: '≥ 400',
      measured: `coder ${best(cpu, 'coder WASM Msym/s')} (${timesFaster(cpu, 'coder')}×), rans ${best(ofFamily(cpu, 'rans'), 'decode WASM Msym/s')} (${timesFaster(ofFamily(cpu, 'rans'), 'decode')}×), isthmus ${best(isthmus(cpu), 'decode WASM Msym/s')} (${timesFaster(isthmus(cpu), 'decode')}×)`,
      adapter: thread,
    },
    {
      id: 'P12',
      what: 'GPU frames whose bytes equal the CPU’s',
      reach: 'all',
      beyond: '',
      measured: gpu.length > 0 ? `${same} of ${gpu.length}` : '—',
      adapter: gpuName ?? '—',
    },
    {
      id: 'P13',
      what: 'gzip of fp16: its bytes / ours, its time / ours (fastest CPU encoder), worst from 16 Ki; GPU',
      reach: '10× / 50×',
      beyond: '12× / 100×',
      measured: FAMILIES.map((family) => {
        const rows = from(ofFamily(cpu, family), 2 ** 14);
        const bytes = extreme(rows, column('gzip bytes/ours'), 'lowest') ?? '—';
        const time = extreme(rows, column('gzip time/ours'), 'lowest') ?? '—';
        const gpuTime = extreme(from(ofFamily(gpu, family), 2 ** 14), column('gzip time/ours'), 'lowest');
        return `${family} ${bytes} / ${time}, GPU ${gpuTime ?? '—'}`;
      }).join('; '),
      adapter: `${thread}; GPU: ${onGpu}`,
    },
  ];
  return figures.map((figure) => ({ ...figure }));
}

function most(rows: readonly Row[]): string {
  if (rows.length === 0) return '—';
  const of = (name: string) => Math.max(...rows.map((row) => Number(row[name])));
  return `${of('dispatches')}/${of('submits')}/${of('maps')}`;
}

const best = (rows: readonly Row[], name: string) =>
  extreme(from(rows, 2 ** 16), column(name), 'highest') ?? '—';

function timesFaster(rows: readonly Row[], what: 'coder' | 'decode'): string {
  const ratio: Measure = (row) => {
    const ts = column(`${what} TS Msym/s`)(row);
    const wasm = column(`${what} WASM Msym/s`)(row);
    return ts && wasm ? wasm / ts : null;
  };
  return best(
    from(rows, 2 ** 16).map((row) => ({ ...row, ratio: ratio(row) })),
    'ratio',
  );
}
