// `isthmus bench planner`: how well plans are chosen while links, servers and devices change. Every policy through the same
// traces, in a simulation and over a real shaped link, beside an oracle that knows what is coming.
import { measureReal } from './plannerReal.ts';
import { simulateAll } from './plannerSimulation.ts';
import { BUSY, DETECTOR, MOBILENET } from './plannerWorld.ts';
import { type BenchOptions, machine, publish, type Row, table } from './report.ts';

/** Of the full run, from `--seed` on. */
const SEEDS = 6;

/** Prints one table per world. `regretPercent` is the mean latency above the oracle's. */
export async function benchPlanner(options: BenchOptions & { seed?: number; real?: boolean }): Promise<void> {
  const first = options.seed ?? 1;
  const seeds = Array.from({ length: options.quick ? 1 : SEEDS }, (_, i) => first + i);
  const simulated = [MOBILENET, DETECTOR, BUSY].flatMap((world) => simulateAll(world, seeds));
  const real: Row[] = options.real === false ? [] : await measureReal(options.quick === true);
  const rows = [...simulated, ...real];
  const adapter = real.length > 0 ? 'simulation, and Node heads behind a TCP proxy' : 'simulation';
  const worlds = [...new Set(rows.map((row) => row.world))];
  const tables = worlds.map((world) => table(rows.filter((row) => row.world === world))).join('\n\n');
  await publish({ machine: machine(), adapter, rows }, options, tables);
}
