// `isthmus split`: an ONNX file in, a folder with segments and manifest out, and a table of the cuts.
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Command } from 'commander';
import { table } from '../../bench/report.ts';
import { IsthmusError } from '../errors.ts';
import { partition } from '../model/index.ts';
import { readLabels } from '../model/labels.ts';
import type { Manifest } from '../model/manifest.ts';
import { externalFiles } from '../model/node/externalFiles.ts';
import { readManifest, writeModelFolder } from '../model/node/modelFolder.ts';
import type { Partition } from '../model/partition.ts';

interface SplitOptions {
  out: string;
  name?: string;
  cuts: string;
  preprocess?: string;
  labels?: string;
  shape?: Record<string, number[]>;
  verify?: boolean;
}

export function registerSplit(program: Command): void {
  program
    .command('split')
    .description('turn an ONNX model into a chain of segments and a manifest')
    .argument('<model.onnx>', 'the model; weights in files beside it are found')
    .requiredOption('--out <DIR>', 'folder to write; must be empty, new, or an earlier split')
    .option('--name <NAME>', 'the name at its endpoint (default: from the file)')
    .option('--cuts <CUTS>', "'auto', or tensors t1,t2+t3,… (`isthmus inspect` lists them)", 'auto')
    .option('--preprocess <RECIPE>', "how pictures become the input: 'imagenet', 'symmetric' or a JSON file")
    .option('--labels <FILE>', 'JSON array of class names')
    .option('--shape <NAME=DIMS>', 'fix the shape of an input, as in data=1,3,224,224', collectShape)
    .option('--verify', 'run whole and chained model on a random input and compare')
    .action(split);
}

async function split(file: string, options: SplitOptions): Promise<void> {
  const model = await readModel(file);
  const result = await partition(model, {
    name: options.name ?? nameFrom(file),
    cuts: options.cuts === 'auto' ? 'auto' : options.cuts.split(',').map((cut) => cut.trim()),
    external: externalFiles(dirname(file)),
    shapes: options.shape ?? {},
    ...(options.preprocess ? { preprocess: await recipe(options.preprocess) } : {}),
    ...(options.labels ? { labels: readLabels(await readJson(options.labels)) } : {}),
  });
  const difference = options.verify ? await verify(file, result) : undefined;
  const before = await readManifest(options.out).catch(() => undefined);
  const lost = calibratedCuts(before);
  await writeModelFolder(options.out, result);
  report(result.manifest, options.out);
  if (lost.length > 0) {
    console.log(
      `The codec profiles of the earlier split (${lost.join(', ')}) are gone with it: run \`isthmus calibrate\` again.`,
    );
  }
  if (before?.tasks) {
    const names = before.tasks.map((task) => task.name).join(', ');
    console.log(`Its tasks (${names}) are gone too: add them again with \`isthmus tasks\`.`);
  }
  if (difference !== undefined)
    console.log(`chained against whole: max relative difference ${difference.toExponential(1)}`);
}

/** Names of the cuts that an earlier split in this folder has profiles for. */
function calibratedCuts(manifest: Manifest | undefined): string[] {
  return (manifest?.cuts ?? []).filter(({ profile }) => profile).map(({ name }) => name);
}

/** Reads a model file. @throws IsthmusError OPTION_INVALID, or MODEL_UNSUPPORTED above 2 GiB. */
export async function readModel(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ERR_FS_FILE_TOO_LARGE') {
      const advice = 'Export it with its weights in a file beside it.';
      throw new IsthmusError('MODEL_UNSUPPORTED', `${file} is larger than 2 GiB. ${advice}`, { cause });
    }
    const what = code === 'ENOENT' ? `There is no file ${file}` : `${file} cannot be read (${message})`;
    throw new IsthmusError('OPTION_INVALID', `${what}. Give the path of an .onnx file.`, { cause });
  }
}

/** Collects `--shape data=1,3,224,224` options. */
export function collectShape(text: string, shapes: Record<string, number[]> = {}): Record<string, number[]> {
  const at = text.lastIndexOf('=');
  const dims = text
    .slice(at + 1)
    .split(',')
    .map(Number);
  if (at < 1 || !dims.every((d) => Number.isInteger(d) && d > 0)) {
    throw new IsthmusError('OPTION_INVALID', `--shape takes NAME=1,3,224,224, not '${text}'.`);
  }
  return { ...shapes, [text.slice(0, at)]: dims };
}

/** A name that a URL and a folder can bear. */
function nameFrom(file: string): string {
  const stem = basename(file).replace(/\.onnx$/i, '');
  return (
    stem
      .replace(/[^\w.-]+/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '')
      .slice(0, 64) || 'model'
  );
}

async function recipe(text: string): Promise<'imagenet' | 'symmetric' | object> {
  if (text === 'imagenet' || text === 'symmetric') return text;
  const json = await readJson(text);
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json;
  throw new IsthmusError(
    'OPTION_INVALID',
    `${text} must hold one JSON object, the manifest's \`preprocess\`.`,
  );
}

/** @throws IsthmusError OPTION_INVALID */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'));
  } catch (cause) {
    const why = cause instanceof SyntaxError ? 'is no JSON' : 'cannot be read';
    throw new IsthmusError('OPTION_INVALID', `${file} ${why}. Give the path of a JSON file.`, { cause });
  }
}

/** External weights lie beside the file, so the whole model is loaded by path. */
async function verify(file: string, { manifest, files }: Partition): Promise<number> {
  const { randomFeeds, relativeDifference, runChain, runModel } = await import('../model/node/chain.ts');
  const feeds = randomFeeds(manifest.inputs);
  return relativeDifference(await runModel(file, feeds), await runChain(files.values(), feeds));
}

function report(manifest: Manifest, out: string): void {
  const total = manifest.segments.reduce((sum, s) => sum + (s.macs ?? 0), 0);
  let done = 0;
  const rows = manifest.cuts.map((cut, i) => {
    done += manifest.segments[i]?.macs ?? 0;
    return {
      cut: cut.name,
      shape: cut.tensors.map((t) => `${t.dtype === 'float32' ? '' : `${t.dtype} `}[${t.shape}]`).join(' + '),
      'raw KiB': cut.rawBytes / 1024,
      'work before %': total ? (100 * done) / total : null,
    };
  });
  console.log(
    `${manifest.name}: ${manifest.segments.length} segments in ${out}, ${(total / 1e6).toFixed(1)} M MACs`,
  );
  if (rows.length > 0) console.log(`\n${table(rows)}\n`);
  else
    console.log('No natural bottleneck found: the model is one segment. Name cuts with --cuts to split it.');
}
