// `npm run test:soak`: the promises a tail on the internet has to keep, measured at full length against a real server, in one
// table. `--short` takes the sizes of `npm test`, `--json FILE` writes the rows, names choose: `node scripts/soak.ts S1 S4`.
import { parseArgs } from 'node:util';
import { machine, table, writeReport } from '../bench/report.ts';
import { FIGURES } from '../e2e/soak/figures.ts';

const { values, positionals } = parseArgs({
  options: { short: { type: 'boolean' }, json: { type: 'string' } },
  allowPositionals: true,
});
const wanted = Object.entries(FIGURES).filter(([id]) => positionals.length === 0 || positionals.includes(id));
const rows = [];
for (const [id, { short, long }] of wanted) {
  process.stderr.write(`${id} …`);
  const began = performance.now();
  const { kept, sound: _, ...figure } = await ((values.short && short) || long)();
  const seconds = (performance.now() - began) / 1000;
  process.stderr.write(` ${kept ? 'kept' : 'BROKEN'} in ${seconds.toFixed(0)} s\n`);
  rows.push({ ...figure, kept });
}
console.log(`\nmachine  ${machine()}\n\n${table(rows)}\n`);
if (values.json) await writeReport(values.json, { machine: machine(), rows });
if (rows.some((row) => !row.kept)) process.exitCode = 1;
