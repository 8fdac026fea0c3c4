// A three-segment network of a few kilobytes, built in memory for the tests of this folder and of the worker. Not part of
// the library.
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as Kind,
  ModelProtoSchema,
  type NodeProto,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { type Manifest, manifestId, type Preprocess, sha256Hex, type TensorInfo } from '../model/manifest.ts';

const FLOAT = 1;

/** Repeatable pseudo-random numbers in -1…1. */
export function noise(count: number, seed = 1): Float32Array<ArrayBuffer> {
  const values = new Float32Array(count);
  let state = seed;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    values[i] = (state / 2 ** 32) * 2 - 1;
  }
  return values;
}

const float32 = (name: string, ...shape: number[]): TensorInfo => ({ name, dtype: 'float32', shape });

function node(
  opType: string,
  input: string[],
  output: string,
  ints: Record<string, number[]> = {},
): NodeProto {
  const attribute = Object.entries(ints).map(([name, values]) =>
    create(AttributeProtoSchema, { name, type: Kind.INTS, ints: values.map(BigInt) }),
  );
  return create(NodeProtoSchema, { opType, input, output: [output], attribute });
}

function weights(name: string, dims: number[], seed: number): TensorProto {
  const fan = dims.slice(1).reduce((a, b) => a * b, 1);
  const values = noise(
    dims.reduce((a, b) => a * b, 1),
    seed,
  ).map((x) => x * Math.sqrt(3 / fan));
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: FLOAT,
    rawData: new Uint8Array(values.buffer),
  });
}

function valueInfo({ name, shape }: TensorInfo) {
  const dim = shape.map((d) =>
    create(TensorShapeProto_DimensionSchema, { value: { case: 'dimValue', value: BigInt(d) } }),
  );
  const tensor = create(TypeProto_TensorSchema, {
    elemType: FLOAT,
    shape: create(TensorShapeProtoSchema, { dim }),
  });
  return create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } }),
  });
}

function onnx(
  input: TensorInfo,
  output: TensorInfo,
  nodes: NodeProto[],
  initializer: TensorProto[],
): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: 8n,
      opsetImport: [{ domain: '', version: 13n }],
      graph: {
        name: 'tiny',
        node: nodes,
        input: [valueInfo(input)],
        output: [valueInfo(output)],
        initializer,
      },
    }),
  );
}

export interface TinyModel {
  manifest: Manifest;
  /** Segment bytes by sha256, as a tail serves them. */
  files: Map<string, Uint8Array>;
}

export const TINY_PREPROCESS: Preprocess = {
  kind: 'image',
  input: 'x',
  resize: { short: 36 },
  crop: [32, 32],
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
  layout: 'NCHW',
  channels: 'RGB',
};

/** x [1,3,32,32] → conv, relu → a [1,8,16,16] → conv, relu → b [1,16,8,8] → conv, pool, flatten → y [1,10]. */
export async function tinyModel(preprocess: Preprocess | null = TINY_PREPROCESS): Promise<TinyModel> {
  const x = float32('x', 1, 3, 32, 32);
  const a = float32('a', 1, 8, 16, 16);
  const b = float32('b', 1, 16, 8, 8);
  const y = float32('y', 1, 10);
  const half = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] };
  const chain: [TensorInfo, TensorInfo, Uint8Array][] = [
    [
      x,
      a,
      onnx(
        x,
        a,
        [node('Conv', ['x', 'w0'], 'c0', half), node('Relu', ['c0'], 'a')],
        [weights('w0', [8, 3, 3, 3], 1)],
      ),
    ],
    [
      a,
      b,
      onnx(
        a,
        b,
        [node('Conv', ['a', 'w1'], 'c1', half), node('Relu', ['c1'], 'b')],
        [weights('w1', [16, 8, 3, 3], 2)],
      ),
    ],
    [
      b,
      y,
      onnx(
        b,
        y,
        [
          node('Conv', ['b', 'w2'], 'c2', { kernel_shape: [1, 1] }),
          node('GlobalAveragePool', ['c2'], 'p'),
          node('Flatten', ['p'], 'y'),
        ],
        [weights('w2', [10, 16, 1, 1], 3)],
      ),
    ],
  ];
  const files = new Map<string, Uint8Array>();
  const segments: Manifest['segments'] = [];
  for (const [i, [input, output, bytes]] of chain.entries()) {
    const sha256 = await sha256Hex(bytes);
    files.set(sha256, bytes);
    segments.push({ file: `${i}.onnx`, sha256, bytes: bytes.byteLength, inputs: [input], outputs: [output] });
  }
  const content: Omit<Manifest, 'id'> = {
    format: 'isthmus-manifest/1',
    name: 'tiny',
    inputs: [x],
    outputs: [y],
    segments,
    cuts: [
      { name: 'a', tensors: [a], rawBytes: 8 * 256 * 4 },
      { name: 'b', tensors: [b], rawBytes: 16 * 64 * 4 },
    ],
    ...(preprocess && { preprocess }),
  };
  return { manifest: { ...content, id: await manifestId(content) }, files };
}

/** A fetch that serves the files of a model from memory, for tests that are not about downloading. */
export function serveFiles(files: ReadonlyMap<string, Uint8Array>): typeof fetch {
  return async (input) => {
    const sha256 = String(input instanceof Request ? input.url : input)
      .split('/')
      .at(-1)!;
    const bytes = files.get(sha256);
    return bytes ? new Response(bytes as Uint8Array<ArrayBuffer>) : new Response(null, { status: 404 });
  };
}
