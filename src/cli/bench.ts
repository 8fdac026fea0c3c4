// `isthmus bench …`: hangs the programs of bench/ under the command line. Each prints one table and can write JSON.
import type { Command } from 'commander';
import { benchE2e } from '../../bench/e2e.ts';
import { benchPartition } from '../../bench/partition.ts';

export function registerBench(program: Command): void {
  const bench = program
    .command('bench')
    .description('measure: each benchmark prints a table with its yardsticks');
  const add = (name: string, what: string) =>
    bench
      .command(name)
      .description(what)
      .option('--json <FILE>', 'also write { machine, adapter, rows }')
      .option('--data <DIR>', 'folder with real images and models')
      .option('--quick', 'a rough answer within a minute');

  add(
    'e2e',
    'every cut × preset beside everything local and the uploaded JPEG: bytes, stage times, top-1, agreement',
  )
    .option(
      '--device <NAME>',
      'where heads run: node, wasm or webgpu (the last two in headless Chromium)',
      'node',
    )
    .option('--images <N>', 'images per model', (n) => Number.parseInt(n, 10))
    .action(benchE2e);
  add('partition', 'every possible cut of every model: chained segments against the whole model').action(
    benchPartition,
  );
}
