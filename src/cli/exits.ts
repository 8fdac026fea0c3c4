// `isthmus exits`: which early exits a split model has, adding or removing one. The work is done by model/attachExit.ts; when an
// exit may answer is found out by `isthmus calibrate --exits`.
import { dirname } from 'node:path';
import { Argument, type Command } from 'commander';
import { table } from '../../bench/report.ts';
import { IsthmusError } from '../errors.ts';
import { attachExit, detachExit } from '../model/attachExit.ts';
import type { Manifest } from '../model/manifest.ts';
import { externalFiles } from '../model/node/externalFiles.ts';
import { readManifest, updateModelFolder } from '../model/node/modelFolder.ts';
import { nodeShapeProbe } from '../model/probeNode.ts';
import { readModel } from './split.ts';

interface ExitFlags {
  name?: string;
  onnx?: string;
  cut?: string;
}

export function registerExits(program: Command): void {
  program
    .command('exits')
    .description('list the early exits of a split model, add one or remove one')
    .argument('<model-folder>', 'a folder that `isthmus split` has written')
    .addArgument(new Argument('[action]', 'what to do').choices(['list', 'add', 'remove']).default('list'))
    .option('--name <NAME>', 'what reports call it')
    .option('--onnx <FILE>', "a model from the cut's tensors to the outputs of the split model, by name")
    .option('--cut <CUT>', 'cut that feeds the exit, by name or index')
    .action(exits);
}

async function exits(folder: string, action: string, { name, onnx, cut }: ExitFlags): Promise<void> {
  const manifest = await readManifest(folder);
  if (action === 'list') return print(manifest);
  if (name === undefined) throw wrong(`Say which exit to ${action}: give --name.`);
  if (action === 'remove') {
    const left = await detachExit(manifest, name);
    await updateModelFolder(folder, left, new Map());
    return print(left);
  }
  if (onnx === undefined || cut === undefined)
    throw wrong('An exit is a file at a cut: give --onnx and --cut.');
  const made = await attachExit(manifest, {
    name,
    cut: cutOf(manifest, cut),
    onnx: await readModel(onnx),
    external: externalFiles(dirname(onnx)),
    probe: nodeShapeProbe,
  });
  await updateModelFolder(folder, made.manifest, made.files);
  print(made.manifest);
  console.log('It answers nothing by itself yet: `isthmus calibrate --exits` finds out when it may.');
}

/** '2' is a name where a cut has it, else an index. */
const cutOf = ({ cuts }: Manifest, cut: string) =>
  /^\d+$/.test(cut) && !cuts.some(({ name }) => name === cut) ? Number(cut) : cut;

function print({ name, id, cuts, exits: list = [] }: Manifest): void {
  const rows = list.map(({ name, cut, bytes, macs, threshold }) => ({
    exit: name,
    'fed by': cuts[cut]!.name,
    bytes,
    'multiply-adds': macs ?? null,
    'answers when': threshold
      ? `${threshold.rule} ${threshold.rule === 'entropy' ? '≤' : '≥'} ${threshold.value}`
      : 'never (not calibrated)',
    'agreement %': threshold ? Number((100 * threshold.agreement).toFixed(1)) : null,
    'of pictures %': threshold ? Number((100 * threshold.coverage).toFixed(1)) : null,
  }));
  console.log(`${name} ${id.slice(0, 16)}\n\n${rows.length > 0 ? table(rows) : 'no exits'}\n`);
}

const wrong = (message: string) => new IsthmusError('OPTION_INVALID', message);
