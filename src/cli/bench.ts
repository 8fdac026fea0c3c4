// `isthmus bench …`: hangs the programs of bench/ under the command line. Each prints one table and can write JSON.
import { type Command, Option } from 'commander';
import { benchCodec } from '../../bench/codec.ts';
import { benchE2e } from '../../bench/e2e.ts';
import { benchExits } from '../../bench/exits.ts';
import { benchLoad } from '../../bench/load.ts';
import { benchPartition } from '../../bench/partition.ts';
import { benchPlanner } from '../../bench/planner.ts';
import { benchRans } from '../../bench/rans.ts';
import { benchRd } from '../../bench/rd.ts';

const PROFILES = 'folder of calibrated model folders; what is missing there is made there';

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
    .option('--profiles <DIR>', PROFILES)
    .action(benchE2e);
  add(
    'codec',
    'every codec family per size: times on CPU and GPU beside a copy, bytes beside entropy and gzip',
  )
    .option(
      '--device <NAME>',
      'for the GPU rows: swiftshader, gpu (the machine’s own) or none',
      'swiftshader',
    )
    .action(benchCodec);
  add('rd', 'rate and accuracy: every codec at every cut beside JPEG and WebP upload, on real pictures')
    .option('--images <N>', 'images per model', (n) => Number.parseInt(n, 10))
    .option('--models <NAMES>', 'only these, separated by commas')
    .option('--profiles <DIR>', PROFILES)
    .option('--plots <DIR>', 'write rd-<model>.svg there')
    .action(benchRd);
  add(
    'rans',
    'the rans family on one thread: width of the matrix beside the best one, entropy, speed',
  ).action(benchRans);
  add(
    'load',
    'a tail under open-loop load over each transport, beside the same segments in-process: goodput, latency, CPU, memory',
  )
    .option('--threads <N>', 'threads for inference, of the server and of the yardstick', '1')
    .option('--transports <NAMES>', 'only these, separated by commas: fetch, websocket, webtransport')
    .addOption(new Option('--role <NAME>', 'what a process that this benchmark starts is').hideHelp())
    .action(benchLoad);
  add(
    'planner',
    'how well plans are chosen while link, server and device change, beside an oracle and rivals',
  )
    .option('--seed <N>', 'of the simulated traces', (n) => Number.parseInt(n, 10), 1)
    .option('--no-real', 'only the simulation')
    .action(benchPlanner);
  add(
    'exits',
    'the embedded model with its exits asked, beside without, over a link of 50 ms: who answers, times, bytes',
  )
    .option('--images <N>', 'photos', (n) => Number.parseInt(n, 10))
    .action(benchExits);
  add('partition', 'every possible cut of every model: chained segments against the whole model').action(
    benchPartition,
  );
}
