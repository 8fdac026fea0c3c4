// `isthmus tasks`: which tails the feature of a split model can have, and adding or removing one. The work is done by
// model/attachTask.ts.
import { dirname } from 'node:path';
import { Argument, type Command } from 'commander';
import { table } from '../../bench/report.ts';
import { IsthmusError } from '../errors.ts';
import { attachTask, detachTask } from '../model/attachTask.ts';
import { readLabels } from '../model/labels.ts';
import type { Manifest, TensorInfo } from '../model/manifest.ts';
import { externalFiles } from '../model/node/externalFiles.ts';
import { readManifest, readPart, updateModelFolder } from '../model/node/modelFolder.ts';
import { nodeShapeProbe } from '../model/probeNode.ts';
import { readJson, readModel } from './split.ts';

interface TaskFlags {
  name?: string;
  onnx?: string;
  cut?: string;
  fromTensor?: string;
  labels?: string;
}

export function registerTasks(program: Command): void {
  program
    .command('tasks')
    .description('list the tasks of a split model, add one or remove one')
    .argument('<model-folder>', 'a folder that `isthmus split` has written')
    .addArgument(new Argument('[action]', 'what to do').choices(['list', 'add', 'remove']).default('list'))
    .option('--name <NAME>', 'what requests ask for')
    .option('--onnx <FILE>', "a model whose inputs are the cut's tensors, by name")
    .option('--cut <CUT>', 'cut that feeds the task, by name or index')
    .option('--from-tensor <NAME>', 'instead of a file: a tensor of the model itself, such as an embedding')
    .option('--labels <FILE>', 'JSON array of class names')
    .action(tasks);
}

async function tasks(folder: string, action: string, flags: TaskFlags): Promise<void> {
  const manifest = await readManifest(folder);
  if (action === 'list') return print(manifest);
  const { name } = flags;
  if (name === undefined)
    throw new IsthmusError('OPTION_INVALID', `Say which task to ${action}: give --name.`);
  if (action === 'remove') {
    const left = await detachTask(manifest, name);
    await updateModelFolder(folder, left, new Map());
    return print(left);
  }
  const { cut, fromTensor: tensor } = flags;
  const made = await attachTask(manifest, {
    name,
    probe: nodeShapeProbe,
    segment: (k) => readPart(folder, manifest.segments[k]!),
    ...(cut !== undefined && { cut: cutOf(manifest, cut) }),
    ...(tensor !== undefined && { tensor }),
    ...(flags.onnx !== undefined && {
      onnx: await readModel(flags.onnx),
      external: externalFiles(dirname(flags.onnx)),
    }),
    ...(flags.labels !== undefined && { labels: readLabels(await readJson(flags.labels)) }),
  });
  await updateModelFolder(folder, made.manifest, made.files);
  print(made.manifest);
  console.log(
    'The model has a new id: pages fetch its manifest again, a tail that watches the folder takes it over.',
  );
}

/** '2' is a name where a cut has it, else an index. */
const cutOf = ({ cuts }: Manifest, cut: string) =>
  /^\d+$/.test(cut) && !cuts.some(({ name }) => name === cut) ? Number(cut) : cut;

function print({ name, id, cuts, outputs, labels, tasks: more = [] }: Manifest): void {
  const ends = (list: readonly TensorInfo[]) => list.map((t) => `${t.name} [${t.shape}]`).join(' + ');
  const rows = [
    { task: 'main', 'fed by': 'the last cut', outputs: ends(outputs), labels: labels?.length ?? null },
    ...more.map((t) => ({
      task: t.name,
      'fed by': cuts[t.cut]!.name,
      outputs: ends(t.outputs),
      labels: t.labels?.length ?? null,
    })),
  ];
  console.log(`${name} ${id.slice(0, 16)}\n\n${table(rows)}\n`);
}
