// Renders measured results (bench/results/*.json) into the README between its markers, so that no figure is typed by hand.
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BenchReport, Row } from '../bench/report.ts';
import { root } from './run.ts';

const text = (value: Row[string] | undefined) =>
  value === null || value === undefined || value === '' ? '–' : String(value);
const kilobytes = (value: Row[string] | undefined) =>
  typeof value === 'number' ? (value / 1000).toFixed(1) : '–';
const ms = (value: Row[string] | undefined) => (typeof value === 'number' ? value.toFixed(1) : '–');
const percent = (value: Row[string] | undefined) =>
  typeof value === 'number' ? `${(100 * value).toFixed(1)} %` : '–';

/** One table per report: both rivals and every cut with the `slicer` preset; raw frames stay in the JSON. */
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
    .filter((row) => row.preset !== 'raw')
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
    `${rows[0]?.images} labelled pictures per model against a real tail over loopback, preset \`slicer\`. Heads in headless Chromium,`,
    `${adapter}; ${machine}. Times are medians, bytes and accuracies means; agreement is with the whole model run`,
    'here. Loopback hides what a real link would cost; time on a GPU has not been measured.',
    '',
    '| model | plan | kB up | ms on the device | ms in the tail | ms in all | top-1 | agreement |',
    '|---|---|--:|--:|--:|--:|--:|--:|',
    ...lines.map((line) => `| ${line.map(text).join(' | ')} |`),
  ].join('\n');
}

const readme = join(root, 'README.md');
const report = JSON.parse(await readFile(join(root, 'bench/results/e2e-wasm.json'), 'utf8')) as BenchReport;
const before = await readFile(readme, 'utf8');
const after = before.replace(
  /(<!-- bench:e2e -->)[\s\S]*?(<!-- \/bench:e2e -->)/,
  (_, open, close) => `${open}\n${e2eTable(report)}\n${close}`,
);
await writeFile(readme, after);
