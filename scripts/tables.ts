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

/** Head time is what this device spends: preprocessing, head and encoder together. */
function e2eTable({ machine, adapter, rows }: BenchReport): string {
  const plan = (row: Row) =>
    row.plan === 'split'
      ? `split at \`${row.cut}\`, ${row.preset}`
      : row.plan === 'remote'
        ? '**rival:** upload the JPEG'
        : '**rival:** everything local';
  const here = (row: Row) =>
    ['preprocessMs', 'headMs', 'encodeMs'].reduce((sum, key) => sum + (Number(row[key]) || 0), 0);
  const lines = rows.map((row) =>
    [
      row.model,
      plan(row),
      kilobytes(row.bytesUp),
      ms(here(row)),
      ms(row.tailMs),
      ms(row.totalMs),
      percent(row.top1),
      percent(row.agreement),
    ]
      .map(text)
      .join(' | '),
  );
  return [
    `${rows[0]?.images} labelled pictures per model, real tail over loopback. Heads on ${adapter}; ${machine}. Medians; kB and accuracy are means.`,
    'Agreement is with the whole model run locally. GPU timings: not measured, no GPU at hand.',
    '',
    '| model | plan | kB up | ms on the device | ms in the tail | ms in all | top-1 | agreement |',
    '|---|---|--:|--:|--:|--:|--:|--:|',
    ...lines.map((line) => `| ${line} |`),
  ].join('\n');
}

const readme = join(root, 'README.md');
const report = JSON.parse(await readFile(join(root, 'bench/results/e2e.json'), 'utf8')) as BenchReport;
const before = await readFile(readme, 'utf8');
const after = before.replace(
  /(<!-- bench:e2e -->)[\s\S]*?(<!-- \/bench:e2e -->)/,
  (_, open, close) => `${open}\n${e2eTable(report)}\n${close}`,
);
await writeFile(readme, after);
