// Small real models, and frames for them, for the tests of this folder: written with onnx-buf, cut by the partitioner.
// Not part of the published package.
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  ModelProtoSchema,
  type NodeProtoSchema,
  TensorProto_DataType,
} from 'onnx-buf';
import sharp from 'sharp';
import type { EncodedTensor } from '../codec/params.ts';
import { partition } from '../model/index.ts';
import { type Manifest, modelTag } from '../model/manifest.ts';
import type { Frame } from '../wire/layout.ts';
import { writeFrame } from '../wire/writeFrame.ts';

type Node = MessageInitShape<typeof NodeProtoSchema>;
type Weights = Record<string, { shape: number[]; values: Float32Array | bigint[] }>;
type Port = [name: string, shape: (number | string)[]];

function onnx(input: Port, nodes: Node[], output: Port, weights: Weights): Uint8Array {
  const port = ([name, shape]: Port) => ({
    name,
    type: {
      value: {
        case: 'tensorType' as const,
        value: {
          elemType: TensorProto_DataType.FLOAT,
          shape: {
            dim: shape.map((d) => ({
              value:
                typeof d === 'number'
                  ? { case: 'dimValue' as const, value: BigInt(d) }
                  : { case: 'dimParam' as const, value: d },
            })),
          },
        },
      },
    },
  });
  const initializer = Object.entries(weights).map(([name, { shape, values }]) => ({
    name,
    dims: shape.map(BigInt),
    ...(values instanceof Float32Array
      ? { dataType: TensorProto_DataType.FLOAT, floatData: [...values] }
      : { dataType: TensorProto_DataType.INT64, int64Data: values }),
  }));
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    opsetImport: [{ domain: '', version: 13n }],
    graph: { name: 'test', node: nodes, initializer, input: [port(input)], output: [port(output)] },
  });
  return toBinary(ModelProtoSchema, model);
}

const axisAttribute = (i: bigint) => ({ name: 'axis', i, type: AttributeProto_AttributeType.INT });

/** Deterministic values in -1…1. */
export function wave(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(i * 12.9898 + 1));
}

/** [N,3,8,8] → Conv, Relu → 'feature' [N,4,8,8] → pool, Gemm → 'scores' [N,3], with labels and a picture input. */
export async function tinyPartition(name: string, seed = 0): Promise<Awaited<ReturnType<typeof partition>>> {
  const bytes = onnx(
    ['x', ['N', 3, 8, 8]],
    [
      { opType: 'Conv', input: ['x', 'w'], output: ['c'] },
      { opType: 'Relu', input: ['c'], output: ['feature'] },
      { opType: 'GlobalAveragePool', input: ['feature'], output: ['p'] },
      { opType: 'Flatten', input: ['p'], output: ['f'] },
      { opType: 'Gemm', input: ['f', 'g', 'b'], output: ['scores'] },
    ],
    ['scores', ['N', 3]],
    {
      w: { shape: [4, 3, 1, 1], values: wave(12) },
      g: { shape: [4, 3], values: wave(12).reverse() },
      b: { shape: [3], values: wave(3 + seed).slice(seed) },
    },
  );
  return partition(bytes, {
    name,
    cuts: [['feature']],
    labels: ['ant', 'bee', 'cat'],
    preprocess: {
      kind: 'image',
      input: 'x',
      resize: { short: 9 },
      crop: [8, 8],
      mean: [0.5, 0.5, 0.5],
      std: [0.25, 0.25, 0.25],
      layout: 'NCHW',
      channels: 'RGB',
    },
  });
}

/** [N,1] → Relu → 'feature' → a few hundred milliseconds of matrix products → [1,1]. For everything about waiting. */
async function slow(): Promise<Awaited<ReturnType<typeof partition>>> {
  const bytes = onnx(
    ['x', ['N', 1]],
    [
      { opType: 'Relu', input: ['x'], output: ['feature'] },
      { opType: 'Expand', input: ['feature', 'size'], output: ['m'] },
      { opType: 'MatMul', input: ['m', 'm'], output: ['m2'] },
      { opType: 'MatMul', input: ['m2', 'm'], output: ['m3'] },
      { opType: 'ReduceMean', input: ['m3'], output: ['y'] },
    ],
    ['y', [1, 1]],
    { size: { shape: [2], values: [1800n, 1800n] } },
  );
  return partition(bytes, { name: 'slow', cuts: [['feature']] });
}

/** [N,4] → Relu → 'feature' → plus a softmax over N → [N,4]: its first dimension has a name, but is no batch. */
export async function mixingModel(): Promise<Awaited<ReturnType<typeof partition>>> {
  const bytes = onnx(
    ['x', ['N', 4]],
    [
      { opType: 'Relu', input: ['x'], output: ['feature'] },
      { opType: 'Softmax', input: ['feature'], output: ['mixed'], attribute: [axisAttribute(0n)] },
      { opType: 'Add', input: ['feature', 'mixed'], output: ['y'] },
    ],
    ['y', ['N', 4]],
    {},
  );
  return partition(bytes, { name: 'mixing', cuts: [['feature']] });
}

/** Writes one model folder below `root`. */
async function writeModel(
  root: string,
  folder: string,
  { manifest, files }: Awaited<ReturnType<typeof partition>>,
): Promise<Manifest> {
  await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, folder, 'manifest.json'), JSON.stringify(manifest));
  for (const [name, content] of files) await writeFile(join(root, folder, name), content);
  return manifest;
}

/** A fresh folder with `tiny` and `slow`. */
export async function testModels(): Promise<{ dir: string; tiny: Manifest; slow: Manifest }> {
  const dir = await mkdtemp(join(tmpdir(), 'isthmus-tail-'));
  return {
    dir,
    tiny: await writeModel(dir, 'tiny', await tinyPartition('tiny')),
    slow: await writeModel(dir, 'slow', await slow()),
  };
}

/** Adds a copy of `tiny` under another name, for tests that damage it; with a seed it has other weights and another id. */
export async function addTiny(dir: string, folder: string, name = folder, seed = 0): Promise<Manifest> {
  return writeModel(dir, folder, await tinyPartition(name, seed));
}

/** A request frame of `tiny` at its cut with a feature of ours; anything can be replaced by something wrong. */
export function tinyFrame(manifest: Manifest, changes: Partial<Frame> = {}): Uint8Array<ArrayBuffer> {
  return writeFrame({
    kind: 'request',
    modelTag: modelTag(manifest),
    cut: 0,
    meta: {},
    tensors: [rawTensor([1, 4, 8, 8], wave(256))],
    ...changes,
  });
}

/** The picture as a tensor of family `image`, FORMAT.md. */
export function imageTensor(file: Uint8Array, prepared: boolean): EncodedTensor {
  const params = Uint8Array.of(0, prepared ? 1 : 0, 0, 0);
  return { family: 'image', dtype: 'uint8', shape: [8, 8, 3], flags: 0, params, payload: file };
}

export function rawTensor(shape: number[], values: Float32Array): EncodedTensor {
  const payload = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return { family: 'raw', dtype: 'float32', shape, flags: 0, params: new Uint8Array(0), payload };
}

/** A picture with some texture, for the caller to encode as it likes. */
export const photo = (width = 20, height = 12) =>
  sharp({
    create: {
      width,
      height,
      channels: 3,
      background: '#3070c0',
      noise: { type: 'gaussian', mean: 120, sigma: 40 },
    },
  });
