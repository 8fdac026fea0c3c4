import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inlineExternalData } from './externalData.ts';
import { externalFiles } from './node/externalFiles.ts';
import { readOnnx } from './onnx.ts';
import { partitionModel } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { model, node, value, weight } from './testGraphs.fixture.ts';

const values = Float32Array.of(9, 9, 1, 2, 3, 4, 9);

/** y = relu(x + w) with w outside, described by the given entries; a second weight stays inside. */
function outside(entries: Record<string, string>): Uint8Array {
  return model(
    {
      nodes: [node('Add', 'x w', 'a'), node('Mul', 'a v', 'y')],
      inputs: [value('x', ['N', 4])],
      outputs: [value('y')],
      weights: [{ ...weight('w', [4]), rawData: new Uint8Array(0) }, weight('v', [4])],
    },
    {
      change(m) {
        const tensor = m.graph!.initializer[0]!;
        tensor.dataLocation = 1;
        tensor.externalData = Object.entries(entries).map(([key, text]) => ({
          $typeName: 'onnx.StringStringEntryProto',
          key,
          value: text,
        }));
      },
    },
  );
}

const place = { location: 'weights/a.bin', offset: '8', length: '16' };
const files = async (name: string) => (name === 'weights/a.bin' ? new Uint8Array(values.buffer) : undefined);

describe('inlineExternalData', () => {
  it('puts weights back inside, and into the segment that needs them', async () => {
    const options = { name: 'm', probe, cuts: ['a'], external: files };
    const split = await partitionModel(outside(place), options);
    const [w] = readOnnx(split.files.get('s0.onnx')!).graph.initializer;
    expect(new Float32Array(w!.rawData.slice().buffer)).toEqual(values.slice(2, 6));
    expect(readOnnx(split.files.get('s1.onnx')!).graph.initializer.map((t) => t.name)).toEqual(['v']);
  });

  it('takes the rest of the file where no length is given', async () => {
    const { graph } = await inlineExternalData(
      readOnnx(outside({ location: './weights/a.bin', offset: '12' })),
      files,
    );
    expect(graph.initializer[0]!.rawData).toHaveLength(16);
  });

  it.each<[string, Record<string, string>, RegExp]>([
    ['a file that is not there', { location: 'gone.bin' }, /'gone\.bin', which is not there/],
    ['a file that is too short', { ...place, offset: '16' }, /28 bytes, but the weight 'w' lies at 16 to 32/],
    ['an offset beyond the file', { ...place, offset: '999' }, /lies at 999/],
    ['an offset that is no number', { ...place, offset: '-8' }, /'-8', no whole number/],
    ['a path that climbs', { location: '../a.bin' }, /not below the model's folder/],
    ['a path that climbs later', { location: 'weights/../../a.bin' }, /not below the model's folder/],
    ['an absolute path', { location: '/etc/hostname' }, /not below the model's folder/],
    ['a Windows path', { location: 'C:\\a.bin' }, /not below the model's folder/],
    ['no path', {}, /not below the model's folder/],
  ])('refuses %s', async (_, entries, message) => {
    await expect(inlineExternalData(readOnnx(outside(entries)), files)).rejects.toMatchObject({
      code: 'MODEL_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

it('refuses more weights than one ONNX file holds', async () => {
  const huge = async () => Object.create(Uint8Array.prototype, { length: { value: 2 ** 31 } }) as Uint8Array;
  await expect(inlineExternalData(readOnnx(outside(place)), huge)).rejects.toMatchObject({
    code: 'MODEL_UNSUPPORTED',
  });
});

describe('externalFiles', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-external-'));
    await mkdir(join(folder, 'model/weights'), { recursive: true });
    await writeFile(join(folder, 'model/weights/a.bin'), 'inside');
    await writeFile(join(folder, 'secret.bin'), 'outside');
    await symlink('../secret.bin', join(folder, 'model/link.bin'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('reads below the folder and nowhere else', async () => {
    const read = externalFiles(join(folder, 'model'));
    expect(await read('weights/a.bin')).toEqual(Buffer.from('inside'));
    expect(await read('gone.bin')).toBeUndefined();
    expect(await read('../secret.bin')).toBeUndefined();
    expect(await read('link.bin')).toBeUndefined();
    expect(await read('weights')).toBeUndefined();
  });
});
