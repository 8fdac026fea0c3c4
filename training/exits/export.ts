// The exit that train.py trained, as an ONNX file from the cut's tensor to the model's output.
// Usage: node training/exits/export.ts TRAINED_FOLDER OUT.onnx
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as Attribute,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  TypeProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';

const FLOAT = 1;
const [folder, out] = process.argv.slice(2);
if (!folder || !out) throw new Error('Usage: export.ts TRAINED_FOLDER OUT.onnx');
const { cut, shapes } = JSON.parse(await readFile(join(folder, 'exit.json'), 'utf8')) as {
  cut: string;
  shapes: Record<string, number[]>;
};
const read = async (name: string) => {
  const bytes = await readFile(join(folder, `${name}.f32`));
  return new Float32Array(new Uint8Array(bytes).buffer);
};

const tensor = (name: string, dims: number[], values: Float32Array) =>
  create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: FLOAT,
    rawData: new Uint8Array(values.buffer),
  });

/** Kernels of train.py, [3·3·in, out] with the channel innermost, as ONNX has them: [out, in, 3, 3]. */
function kernel(values: Float32Array, outputs: number): { dims: number[]; values: Float32Array } {
  const inputs = values.length / 9 / outputs;
  const turned = new Float32Array(values.length);
  for (let at = 0; at < 9; at++)
    for (let i = 0; i < inputs; i++)
      for (let o = 0; o < outputs; o++)
        turned[(o * inputs + i) * 9 + at] = values[(at * inputs + i) * outputs + o]!;
  return { dims: [outputs, inputs, 3, 3], values: turned };
}

const value = (name: string, shape: (number | string)[]) =>
  create(ValueInfoProtoSchema, {
    name,
    type: create(TypeProtoSchema, {
      value: {
        case: 'tensorType',
        value: {
          elemType: FLOAT,
          shape: {
            dim: shape.map((d) => ({
              value:
                typeof d === 'string'
                  ? { case: 'dimParam' as const, value: d }
                  : { case: 'dimValue' as const, value: BigInt(d) },
            })),
          },
        },
      },
    }),
  });

const ints = (name: string, values: number[]) =>
  create(AttributeProtoSchema, { name, type: Attribute.INTS, ints: values.map(BigInt) });
const node = (opType: string, input: string, output: string, attribute = [] as ReturnType<typeof ints>[]) =>
  create(NodeProtoSchema, { opType, name: output, input: input.split(' '), output: [output], attribute });
const strided = () => [ints('strides', [2, 2]), ints('pads', [1, 1, 1, 1]), ints('kernel_shape', [3, 3])];

const manifest = JSON.parse(
  await readFile(new URL('../../models/neck10/manifest.json', import.meta.url), 'utf8'),
) as { cuts: { name: string; tensors: { name: string; shape: (number | string)[] }[] }[]; outputs: { name: string; shape: (number | string)[] }[] };
const feature = manifest.cuts.find(({ name }) => name === cut)!.tensors[0]!;
const answer = manifest.outputs[0]!;
const channels = feature.shape[1] as number;
const first = kernel(await read('w1'), shapes.b1![0]!);
const second = kernel(await read('w2'), shapes.b2![0]!);

const model = create(ModelProtoSchema, {
  irVersion: 8n,
  producerName: 'isthmus training/exits',
  opsetImport: [{ domain: '', version: 13n }],
  graph: create(GraphProtoSchema, {
    name: `exit-${cut}`,
    node: [
      // The padding of the convolutions is the mean of the feature, not its zero: so this is not folded into the first one.
      node('Mul', `${feature.name} exit.scale`, 'exit.scaled'),
      node('Add', 'exit.scaled exit.shift', 'exit.normal'),
      node('Conv', 'exit.normal exit.w1 exit.b1', 'exit.conv1', strided()),
      node('Relu', 'exit.conv1', 'exit.relu1'),
      node('Conv', 'exit.relu1 exit.w2 exit.b2', 'exit.conv2', strided()),
      node('Relu', 'exit.conv2', 'exit.relu2'),
      node('GlobalAveragePool', 'exit.relu2', 'exit.pooled'),
      node('Flatten', 'exit.pooled', 'exit.flat'),
      node('Gemm', 'exit.flat exit.w3 exit.b3', answer.name),
    ],
    input: [value(feature.name, feature.shape)],
    output: [value(answer.name, answer.shape)],
    initializer: [
      tensor('exit.scale', [1, channels, 1, 1], await read('scale')),
      tensor('exit.shift', [1, channels, 1, 1], await read('shift')),
      tensor('exit.w1', first.dims, first.values),
      tensor('exit.b1', shapes.b1!, await read('b1')),
      tensor('exit.w2', second.dims, second.values),
      tensor('exit.b2', shapes.b2!, await read('b2')),
      tensor('exit.w3', shapes.w3!, await read('w3')),
      tensor('exit.b3', shapes.b3!, await read('b3')),
    ],
  }),
});
await writeFile(out, toBinary(ModelProtoSchema, model));
