import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readManifest, updateModelFolder } from '../model/node/modelFolder.ts';
import { tinyNet } from '../model/testGraphs.fixture.ts';
import { registerInspect } from './inspect.ts';
import { registerSplit } from './split.ts';

let folder: string;
let file: string;
let printed: string[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-cli-'));
  file = join(folder, 'my tiny net.onnx');
  await writeFile(file, tinyNet());
  printed = [];
  vi.spyOn(console, 'log').mockImplementation((line: string) => void printed.push(line));
});
afterEach(async () => {
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

async function isthmus(...args: string[]): Promise<string> {
  const program = new Command('isthmus').exitOverride();
  registerSplit(program);
  registerInspect(program);
  await program.parseAsync(args, { from: 'user' });
  return printed.join('\n');
}

describe('isthmus split', () => {
  it('writes a folder, prints the cuts, and verifies the chain', async () => {
    const out = join(folder, 'out');
    const labels = join(folder, 'labels.json');
    const recipe = join(folder, 'recipe.json');
    await writeFile(labels, JSON.stringify(['a', 'b', 'c', 'd', 'e']));
    const preprocess = { resize: { short: 18 }, crop: [16, 16], mean: [0, 0, 0], std: [1, 1, 1] };
    await writeFile(recipe, JSON.stringify({ ...preprocess, layout: 'NCHW', channels: 'BGR' }));
    const text = await isthmus(
      ...['split', file, '--out', out, '--cuts', 'gap, p+c3', '--verify'],
      ...['--labels', labels, '--preprocess', recipe],
    );
    const manifest = await readManifest(out);
    expect(manifest.name).toBe('my-tiny-net');
    expect(manifest.cuts.map((cut) => cut.name)).toEqual(['p+c3', 'gap']);
    expect(manifest.preprocess).toMatchObject({ input: 'x', channels: 'BGR' });
    expect(manifest.labels).toHaveLength(5);
    expect(text).toMatch(/p\+c3\s+\[N,6,4,4\] \+ \[N,6,4,4\]\s+0\.75\s/);
    expect(text).toMatch(/max relative difference \d/);
    expect(text).toContain('3 segments');
  });

  it('says that the profiles of an earlier split go with it', async () => {
    const out = join(folder, 'out');
    expect(await isthmus('split', file, '--out', out, '--cuts', 'r1,gap')).not.toContain('calibrate');
    const manifest = await readManifest(out);
    const [first, ...rest] = manifest.cuts;
    const profile = { file: 'r1.ispr', sha256: 'a'.repeat(64), bytes: 1 };
    const cuts = [{ ...first!, profile }, ...rest];
    await updateModelFolder(out, { ...manifest, cuts }, new Map([['r1.ispr', new Uint8Array(1)]]));
    expect(await isthmus('split', file, '--out', out, '--cuts', 'r1,gap')).toMatch(
      /\(r1\) are gone.*isthmus calibrate/,
    );
  });

  it('takes a name, and overwrites its own earlier split', async () => {
    const out = join(folder, 'out');
    await isthmus('split', file, '--out', out, '--cuts', 'r1,gap');
    await isthmus('split', file, '--out', out, '--cuts', 'r2', '--name', 'second');
    expect((await readManifest(out)).name).toBe('second');
    expect((await readdir(out)).sort()).toEqual(['manifest.json', 's0.onnx', 's1.onnx']);
  });

  it.each<[string, string[], string, RegExp]>([
    ['a file that is not there', ['gone.onnx'], 'OPTION_INVALID', /no file gone\.onnx/],
    ['a folder', [tmpdir()], 'OPTION_INVALID', /cannot be read/],
    ['an unknown cut', ['MODEL', '--cuts', 'gapp'], 'CUT_INVALID', /near it are gap/],
    [
      'an unknown recipe',
      ['MODEL', '--preprocess', 'imagenett'],
      'OPTION_INVALID',
      /imagenett cannot be read/,
    ],
    ['a recipe that is no JSON', ['MODEL', '--preprocess', 'MODEL'], 'OPTION_INVALID', /is no JSON/],
    ['labels that are no JSON', ['MODEL', '--labels', 'MODEL'], 'OPTION_INVALID', /is no JSON/],
    ['a shape without name', ['MODEL', '--shape', '1,3,8,8'], 'OPTION_INVALID', /--shape takes/],
  ])('refuses %s and writes nothing', async (_, args, code, message) => {
    const [model, ...rest] = args.map((arg) => (arg === 'MODEL' ? file : arg));
    await expect(isthmus('split', model!, '--out', join(folder, 'out'), ...rest)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
    expect(await readdir(folder)).toEqual(['my tiny net.onnx']);
  });
});

describe('isthmus inspect', () => {
  it('lists ends, operators and cuts of a model', async () => {
    const text = await isthmus('inspect', file);
    expect(text).toMatch(/opset\s+13/);
    expect(text).toMatch(/input\s+x float32 \[N,3,16,16\]/);
    expect(text).toMatch(/Conv 3, Relu 2/);
    expect(text).toMatch(/\*\s+r1\s/);
  });

  it('checks the files of a folder', async () => {
    const out = join(folder, 'out');
    await isthmus('split', file, '--out', out, '--cuts', 'gap');
    expect(await isthmus('inspect', out)).toMatch(/s1\.onnx.*intact/);
    await writeFile(join(out, 's1.onnx'), 'something else');
    await expect(isthmus('inspect', out)).rejects.toMatchObject({ code: 'INTEGRITY_MISMATCH' });
    await rm(join(out, 's1.onnx'));
    await expect(isthmus('inspect', out)).rejects.toMatchObject({
      message: expect.stringMatching(/s1\.onnx is missing/),
    });
  });
});
