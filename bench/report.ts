// What every benchmark shares: the machine in words, medians, a table on the console, `{ machine, adapter, rows }` as JSON.
import { writeFile } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, totalmem } from 'node:os';
import { IsthmusError } from '../src/errors.ts';

export type Row = Record<string, string | number | boolean | null>;

export interface BenchReport {
  machine: string;
  /** What computed: a GPU adapter's name, or the CPU. */
  adapter: string;
  rows: Row[];
}

export interface BenchOptions {
  json?: string;
  data?: string;
  quick?: boolean;
}

/** Processor, cores, memory, platform and Node version, in one line. */
export function machine(): string {
  const model = cpus()[0]?.model.trim() ?? 'unknown processor';
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${model}, ${availableParallelism()} cores, ${memory} GiB, ${platform()} ${arch()}, Node ${process.versions.node}`;
}

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

function format(value: Row[string] | undefined): string {
  if (value === null || value === undefined) return '–';
  if (typeof value !== 'number') return String(value);
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  const size = Math.abs(value);
  return size < 1e-3 ? value.toExponential(1) : value.toFixed(size < 10 ? 2 : 1);
}

/** A table in plain text: numbers to the right, words to the left, columns in the order of the first row that has them. */
export function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) => columns.map((column) => format(row[column])));
  const widths = columns.map((column, i) => Math.max(column.length, ...cells.map((row) => row[i]!.length)));
  const numeric = columns.map((column) => rows.some((row) => typeof row[column] === 'number'));
  const line = (row: readonly string[]) =>
    row
      .map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd();
  return [line(columns), line(widths.map((w) => '─'.repeat(w))), ...cells.map(line)].join('\n');
}

/** Prints the table, or several where the rows are of several kinds, and, with `--json FILE`, writes the report. */
export async function publish(
  report: BenchReport,
  options: BenchOptions,
  tables = table(report.rows),
): Promise<void> {
  console.log(`\nmachine  ${report.machine}\nadapter  ${report.adapter}\n\n${tables}\n`);
  if (!options.json) return;
  await writeReport(options.json, report);
  console.log(`written to ${options.json}`);
}

/** Writes what `--json FILE` asks for. @throws IsthmusError OPTION_INVALID */
export async function writeReport(file: string, report: object): Promise<void> {
  try {
    await writeFile(file, `${JSON.stringify(report, null, 1)}\n`);
  } catch (cause) {
    throw IsthmusError.from(cause, 'OPTION_INVALID', `${file} cannot be written. Give --json another path.`);
  }
}
