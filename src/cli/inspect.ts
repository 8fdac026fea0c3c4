// `isthmus inspect`: what an ONNX file is made of and where it can be cut, or what a folder of segments holds.
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { table } from '../../bench/report.ts';
import { IsthmusError } from '../errors.ts';
import { inspect as inspectModel } from '../model/index.ts';
import { type Manifest, sha256Hex, type TensorInfo } from '../model/manifest.ts';
import { externalFiles } from '../model/node/externalFiles.ts';
import { readManifest } from '../model/node/modelFolder.ts';
import { collectShape, readModel } from './split.ts';

export function registerInspect(program: Command): void {
  program
    .command('inspect')
    .description('show what a model is made of and where it can be cut')
    .argument('<model.onnx|DIR>', 'an ONNX file, or a folder written by `isthmus split`')
    .option('--shape <NAME=DIMS>', 'fix the shape of an input, as in data=1,3,224,224', collectShape)
    .action(async (path: string, options: { shape?: Record<string, number[]> }) => {
      const isFolder = await stat(path).then(
        (s) => s.isDirectory(),
        () => false,
      );
      if (isFolder) await showFolder(path);
      else await showModel(path, options.shape ?? {});
    });
}

const inWords = (t: TensorInfo) => `${t.name} ${t.dtype} [${t.shape}]`;

async function showModel(file: string, shapes: Record<string, number[]>): Promise<void> {
  const found = await inspectModel(await readModel(file), { external: externalFiles(dirname(file)), shapes });
  const operators = Object.entries(found.operators).sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  console.log(`opset      ${found.opset}`);
  for (const t of found.inputs) console.log(`input      ${inWords(t)}`);
  for (const t of found.outputs) console.log(`output     ${inWords(t)}`);
  console.log(`operators  ${operators.map(([name, count]) => `${name} ${count}`).join(', ')}`);
  console.log(`work       ${(found.macs / 1e6).toFixed(1)} M MACs\n`);
  if (found.cuts.length === 0) {
    console.log('There is no place to cut this model.');
    return;
  }
  const rows = found.cuts.map((cut) => ({
    auto: cut.natural ? '*' : '',
    cut: cut.name,
    shape: cut.tensors.map((t) => `[${t.shape}]`).join(' + '),
    'raw KiB': cut.rawBytes / 1024,
    'work before %': 100 * cut.share,
  }));
  console.log(`${table(rows)}\n\n* taken by --cuts auto`);
}

async function showFolder(folder: string): Promise<void> {
  const manifest = await readManifest(folder);
  console.log(`name       ${manifest.name}\nid         ${manifest.id}`);
  for (const t of manifest.inputs) console.log(`input      ${inWords(t)}`);
  for (const t of manifest.outputs) console.log(`output     ${inWords(t)}`);
  if (manifest.labels) console.log(`labels     ${manifest.labels.length}`);
  const states = await Promise.all(manifest.segments.map((s) => stateOf(folder, s)));
  const rows = manifest.segments.map((segment, i) => ({
    file: segment.file,
    KiB: segment.bytes / 1024,
    'M MACs': (segment.macs ?? 0) / 1e6,
    state: states[i]!,
    'cut behind it': manifest.cuts[i]?.name ?? '',
    'raw KiB': manifest.cuts[i] ? manifest.cuts[i].rawBytes / 1024 : null,
  }));
  console.log(`\n${table(rows)}`);
  const bad = rows.find((row) => row.state !== 'intact');
  if (bad) {
    throw new IsthmusError(
      'INTEGRITY_MISMATCH',
      `${join(folder, bad.file)} is ${bad.state}. Split the model again, or fetch the file again.`,
    );
  }
}

async function stateOf(folder: string, segment: Manifest['segments'][number]): Promise<string> {
  const bytes = await readFile(join(folder, segment.file)).catch(() => undefined);
  if (!bytes) return 'missing';
  return (await sha256Hex(bytes)) === segment.sha256 ? 'intact' : 'damaged';
}
