import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../manifest.ts';
import { type Partition, partitionModel } from '../partition.ts';
import { nodeShapeProbe as probe } from '../probeNode.ts';
import { tinyNet } from '../testGraphs.fixture.ts';
import { readManifest, readPart, updateModelFolder, writeModelFolder } from './modelFolder.ts';

let folder: string;
let target: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-folder-'));
  target = join(folder, 'models/tiny');
});
afterEach(() => rm(folder, { recursive: true }));

const split = (cuts: string[]): Promise<Partition> =>
  partitionModel(tinyNet(), { name: 'tiny', probe, cuts });

describe('writeModelFolder', () => {
  it('writes manifest and segments, and nothing beside them', async () => {
    const result = await split(['r1', 'gap']);
    await writeModelFolder(target, result);
    expect(await readManifest(target)).toEqual(result.manifest);
    expect((await readdir(target)).sort()).toEqual(['manifest.json', 's0.onnx', 's1.onnx', 's2.onnx']);
    expect(new Uint8Array(await readFile(join(target, 's1.onnx')))).toEqual(result.files.get('s1.onnx'));
    expect(await readdir(join(folder, 'models'))).toEqual(['tiny']);
  });

  it('replaces an earlier split, also one with more segments, and fills an empty folder', async () => {
    await mkdir(target, { recursive: true });
    await writeModelFolder(target, await split(['r1', 'gap']));
    await writeModelFolder(target, await split(['r2']));
    expect((await readdir(target)).sort()).toEqual(['manifest.json', 's0.onnx', 's1.onnx']);
    expect(await readdir(join(folder, 'models'))).toEqual(['tiny']);
  });

  it('leaves a folder alone that holds anything else', async () => {
    await writeModelFolder(target, await split(['r1']));
    await writeFile(join(target, 'notes.txt'), 'mine');
    const before = await readFile(join(target, 'manifest.json'), 'utf8');
    await expect(writeModelFolder(target, await split(['r2']))).rejects.toMatchObject({
      code: 'OPTION_INVALID',
      message: expect.stringMatching(/notes\.txt/),
    });
    expect(await readFile(join(target, 'manifest.json'), 'utf8')).toBe(before);
    expect(await readdir(join(folder, 'models'))).toEqual(['tiny']);
  });

  it('leaves a foreign manifest.json alone, and a file where the folder should be', async () => {
    await mkdir(target, { recursive: true });
    await writeFile(join(target, 'manifest.json'), '{"name":"a web app"}');
    const result = await split(['r1']);
    await expect(writeModelFolder(target, result)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await writeFile(join(folder, 'file'), '');
    await expect(writeModelFolder(join(folder, 'file'), result)).rejects.toMatchObject({
      code: 'OPTION_INVALID',
    });
  });
});

describe('updateModelFolder', () => {
  it('adds profiles, which later splits and calibrations replace', async () => {
    await writeModelFolder(target, await split(['r1']));
    const manifest = await readManifest(target);
    const calibrated = async (file: string) => {
      const bytes = new TextEncoder().encode(file);
      const profile = { file, sha256: await sha256Hex(bytes), bytes: bytes.length };
      const cuts = manifest.cuts.map((cut) => ({ ...cut, profile }));
      await updateModelFolder(target, { ...manifest, cuts }, new Map([[file, bytes]]));
      return profile;
    };
    await calibrated('old.ispr');
    const profile = await calibrated('new.ispr');
    expect((await readdir(target)).sort()).toEqual(['manifest.json', 'new.ispr', 's0.onnx', 's1.onnx']);
    expect((await readManifest(target)).cuts[0]!.profile).toEqual(profile);
    expect(new TextDecoder().decode(await readPart(target, profile))).toBe('new.ispr');
    await writeFile(join(target, 'new.ispr'), 'NEW.ispr');
    await expect(readPart(target, profile)).rejects.toMatchObject({ code: 'INTEGRITY_MISMATCH' });
    await rm(join(target, 'new.ispr'));
    await expect(readPart(target, profile)).rejects.toMatchObject({ code: 'INTEGRITY_MISMATCH' });
    await calibrated('new.ispr');
    await writeModelFolder(target, await split(['r2']));
    expect((await readdir(target)).sort()).toEqual(['manifest.json', 's0.onnx', 's1.onnx']);
  });
});

describe('readManifest', () => {
  it('says what is wrong', async () => {
    await expect(readManifest(folder)).rejects.toMatchObject({ code: 'OPTION_INVALID' });
    await writeFile(join(folder, 'manifest.json'), '{');
    await expect(readManifest(folder)).rejects.toMatchObject({ code: 'MANIFEST_INVALID' });
  });
});
