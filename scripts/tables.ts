// Renders measured results (bench/results/*.json) and the settings of a tail into pages between their markers, so that no
// figure and no default is typed by hand.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchReport, Row } from '../bench/report.ts';
import faults from '../e2e/faults/faults.json' with { type: 'json' };
import { settingsTable } from '../src/tail/operate/settingsTable.ts';
import { root } from './run.ts';

const text = (value: Row[string] | undefined) =>
  value === null || value === undefined || value === '' ? '–' : String(value);
const kilobytes = (value: Row[string] | undefined) =>
  typeof value === 'number' ? (value / 1000).toFixed(1) : '–';
const ms = (value: Row[string] | undefined) => (typeof value === 'number' ? value.toFixed(1) : '–');
const percent = (value: Row[string] | undefined) =>
  typeof value === 'number' ? `${(100 * value).toFixed(1)} %` : '–';

/** Both rivals and every cut with the default preset; the other presets stay in the JSON. */
function e2eTable({ machine, adapter, rows }: BenchReport): string {
  const plan = (row: Row) => {
    if (row.plan === 'remote') return '**rival:** upload the JPEG';
    if (row.plan === 'local') return '**rival:** everything local';
    return `split at \`${row.cut}\``;
  };
  // What this device spends: preprocessing, head and encoder together.
  const here = (row: Row) =>
    ['preprocessMs', 'headMs', 'encodeMs'].reduce((sum, key) => sum + (Number(row[key]) || 0), 0);
  const lines = rows
    .filter((row) => row.plan !== 'split' || row.preset === 'isthmus')
    .map((row) => [
      row.model,
      plan(row),
      kilobytes(row.bytesUp),
      ms(here(row)),
      ms(row.tailMs),
      ms(row.totalMs),
      percent(row.top1),
      percent(row.agreement),
    ]);
  return [
    `${rows[0]?.images} labelled pictures per model against a real tail over loopback, preset \`isthmus\`. Heads in headless Chromium,`,
    `${adapter}; ${machine}. Times are medians, bytes and accuracies means; agreement is with the whole model run`,
    'here. neck10 is calibrated, the other two are not: the next table shows what calibration gives them. Loopback hides what a',
    'real link would cost; time on a GPU has not been measured.',
    '',
    '| model | plan | kB up | ms on the device | ms in the tail | ms in all | top-1 | agreement |',
    '|---|---|--:|--:|--:|--:|--:|--:|',
    ...lines.map((line) => `| ${line.map(text).join(' | ')} |`),
  ].join('\n');
}

const whole = (value: Row[string] | undefined) =>
  typeof value === 'number' ? value.toLocaleString('en') : '–';
const between = (row: Row, name: string) =>
  typeof row[name] === 'number'
    ? `${row[`${name} bound`] ?? ''}${row[name]} (${row[`${name} low`] ?? '?'}…${row[`${name} high`] ?? '∞'})`
    : '–';

/** Bytes at equal loss, per cut: ours, the better seed, the better picture. */
const rateTable = (criterion: 'KL of 1 point' | '1 point') => (report: BenchReport) =>
  rateLines(report, criterion);

function rateLines({ rows }: BenchReport, criterion: string): string {
  const chosen = (name: string) => rows.filter((row) => row.table === name && row.criterion === criterion);
  const upload = new Map(chosen('Q1').map((row) => [`${row.model} ${row.cut}`, between(row, 'Q1')]));
  const lines = chosen('Q2').map((row) => [
    row.model,
    `\`${row.cut}\``,
    whole(row.isthmus),
    row.by,
    whole(row['no profile']),
    `${whole(row.seed)} (${row['by seed']})`,
    whole(row.upload),
    between(row, 'Q2'),
    upload.get(`${row.model} ${row.cut}`) ?? '',
  ]);
  return [
    '| model | cut | isthmus, bytes | by | without profile | better seed | better of JPEG, WebP | of the seed | best cut, of the picture |',
    '|---|---|--:|---|--:|--:|--:|--:|--:|',
    ...lines.map((line) => `| ${line.map(text).join(' | ')} |`),
  ].join('\n');
}

/** The figures that the codec is held against. */
function figuresTable({ rows }: BenchReport): string {
  const lines = rows
    .filter((row) => row.table === 'figures')
    .map((row) => [row.id, row.what, row.reach, row.beyond, row.measured, row.adapter]);
  return [
    '| | figure | reach | beyond | measured | where |',
    '|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line.map(text).join(' | ')} |`),
  ].join('\n');
}

/** Per model, codec and transport: what a tail adds to a lone request, and how near it comes to the same model in-process. */
function loadTable({ machine, adapter, rows }: BenchReport): string {
  const key = (row: Row) => `${row.model} ${row.cut} ${row.codec} ${row.transport}`;
  const lines = rows
    .filter((row) => row.share === 'light')
    .map((light) => {
      const at = (share: string) => rows.find((row) => key(row) === key(light) && row.share === share);
      const full = at('closed loop, 32');
      return [
        light.model,
        `\`${light.cut}\`, ${light.codec}, ${whole(light.bytes)} B`,
        light.transport,
        ms(light.added),
        `${ms(full?.goodput)} (${Number(full?.ratioToInProcess).toFixed(2)})`,
        `${ms(full?.p50)} / ${ms(full?.p95)} / ${ms(full?.p99)}`,
        ms(at('5×')?.goodput),
      ];
    });
  return [
    `\`isthmus bench load\`: ${adapter}; ${machine}. *Added* is the median of lone requests less the same tail called in-process;`,
    'the ratio is to onnxruntime-node in a loop at its best batch size with as many threads. Both, and the generator, share two cores: at five times',
    'the capacity, generating and refusing takes processor time from answering.',
    '',
    '| model | frame | over | added ms | answers a second, 32 at once (ratio) | p50 / p95 / p99 ms | answers a second at 5× |',
    '|---|---|---|--:|--:|--:|--:|',
    ...lines.map((line) => `| ${line.map(text).join(' | ')} |`),
  ].join('\n');
}

const POLICIES = ['local', 'remote', 'static cut', 'static', 'neurosurgeon', 'μLinUCB'];
const HEADINGS = 'local | remote | best cut | best fixed way | table | bandit';

/** Every policy on the real link: how far above the oracle, and how soon ours follows. */
function plannerTable({ machine, rows }: BenchReport): string {
  const real = rows.filter((row) => row.where === 'real');
  const lines = [...new Set(real.map((row) => row.trace))].map((trace) => {
    const of = (policy: string) => real.find((row) => row.trace === trace && row.policy === policy);
    return [
      ...[trace, ms(of('oracle')?.meanMs)],
      ...['isthmus', ...POLICIES].map((policy) => ms(of(policy)?.regretPercent)),
      text(of('isthmus')?.replanRequests),
    ];
  });
  return [
    `${machine}; mean latency above the oracle's in percent, and answers until ours has followed a step.`,
    '',
    `| trace | oracle, ms | ours | ${HEADINGS} | ours follows after |`,
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...lines.map((line) => `| ${line.join(' | ')} |`),
  ].join('\n');
}

/** The same in simulation, by world; the worst seed of each. */
function plannerSimulatedTable({ rows }: BenchReport): string {
  const simulated = rows.filter((row) => row.where === 'simulated');
  const places = [...new Map(simulated.map((row) => [`${row.world} ${row.trace}`, row])).values()];
  const lines = places.map(({ world, trace }) => {
    const of = (policy: string) =>
      simulated.find((row) => row.world === world && row.trace === trace && row.policy === policy);
    const regrets = ['isthmus', ...POLICIES].map((policy) => ms(of(policy)?.regretPercent));
    return [world, trace, ...regrets, text(of('isthmus')?.replanRequests)];
  });
  return [
    `| world | trace | ours | ${HEADINGS} | ours follows after |`,
    '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|',
    ...lines.map((line) => `| ${line.join(' | ')} |`),
  ].join('\n');
}

/** The promises of a tail, as `npm run test:soak` measured them. */
function soakTable({ machine, rows }: BenchReport): string {
  const lines = rows.map((row) => [
    row.id,
    row.promise,
    row.reach,
    row.measured,
    row.kept ? 'kept' : '**missed**',
  ]);
  return [
    `${machine}; client and server share its cores.`,
    '',
    '| | promise | reach | measured | |',
    '|---|---|---|---|---|',
    ...lines.map((line) => `| ${line.map(text).join(' | ')} |`),
  ].join('\n');
}

/** Fault × transport × phase → outcome. */
function faultTable(): string {
  const lines = [
    ...faults.driven.map(({ fault, transport, phase, mode, outcome }) => [
      fault,
      transport,
      phase,
      mode,
      outcome,
      'e2e/faults/matrix.test.ts',
    ]),
    ...faults.elsewhere.map(({ fault, transport, phase, outcome, test }) => [
      fault,
      transport,
      phase,
      '',
      outcome,
      test,
    ]),
  ];
  return [
    ...Object.entries(faults.outcomes).map(([name, means]) => `* \`${name}\`: ${means}`),
    '',
    '| fault | transport | phase | mode | outcome | test |',
    '|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line.map(text).join(' | ')} |`),
  ].join('\n');
}

const TABLES = [
  { name: 'e2e', file: 'e2e-wasm.json', page: 'README.md', render: e2eTable },
  { name: 'rd', file: 'rd.json', page: 'README.md', render: rateTable('KL of 1 point') },
  { name: 'rd-top1', file: 'rd.json', page: 'docs/codec.md', render: rateTable('1 point') },
  { name: 'codec', file: 'codec.json', page: 'docs/codec.md', render: figuresTable },
  { name: 'load', file: 'load.json', page: 'README.md', render: loadTable },
  { name: 'planner', file: 'planner.json', page: 'docs/planner.md', render: plannerTable },
  {
    name: 'planner-simulated',
    file: 'planner.json',
    page: 'docs/planner.md',
    render: plannerSimulatedTable,
  },
  { name: 'soak', file: 'soak.json', page: 'docs/reliability.md', render: soakTable },
] as const;

for (const { name, file, page, render } of TABLES) {
  const report = JSON.parse(await readFile(join(root, 'bench/results', file), 'utf8')) as BenchReport;
  const path = join(root, page);
  const before = await readFile(path, 'utf8');
  const markers = new RegExp(`(<!-- bench:${name} -->)[\\s\\S]*?(<!-- /bench:${name} -->)`);
  await writeFile(
    path,
    before.replace(markers, (_, open, close) => `${open}\n${render(report)}\n${close}`),
  );
}

/** Tables that follow from the sources, not from a measurement. */
async function fill(file: string, marker: string, content: string): Promise<void> {
  const path = join(root, file);
  const page = await readFile(path, 'utf8');
  const place = new RegExp(`(<!-- ${marker} -->)[\\s\\S]*?(<!-- /${marker} -->)`);
  await writeFile(
    path,
    page.replace(place, (_, open, close) => `${open}\n\n${content}\n\n${close}`),
  );
}
await fill('docs/operations.md', 'settings', settingsTable());
await fill('docs/reliability.md', 'faults', faultTable());
