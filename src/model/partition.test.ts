import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IsthmusError } from '../errors.ts';
import { readOnnx } from './onnx.ts';
import { partitionModel } from './partition.ts';
import { nodeShapeProbe as probe } from './probeNode.ts';
import { integers, model, node, tinyNet, value, weight } from './testGraphs.fixture.ts';

const pair = { inputs: [value('x', ['N', 4])], outputs: [value('y')] };

describe('partitionModel', () => {
  it('describes the chain in a manifest', async () => {
    const { manifest, files } = await partitionModel(tinyNet(), { name: 'tiny', probe, cuts: ['gap', 'r1'] });
    expect(manifest.cuts.map((cut) => [cut.name, cut.rawBytes])).toEqual([
      ['r1', 1024],
      ['gap', 24],
    ]); // 4·8·8·4, 6·4
    expect(manifest.cuts[0]!.tensors).toEqual([{ name: 'r1', dtype: 'float32', shape: ['N', 4, 8, 8] }]);
    expect(manifest.inputs).toEqual([{ name: 'x', dtype: 'float32', shape: ['N', 3, 16, 16] }]);
    expect(manifest.segments.map((s) => s.file)).toEqual(['s0.onnx', 's1.onnx', 's2.onnx']);
    expect(manifest.segments.map((s) => s.macs)).toEqual([27 * 4 * 64, 36 * 6 * 64 + 54 * 6 * 16, 30]);
    for (const { file, inputs, outputs } of manifest.segments) {
      const segment = readOnnx(files.get(file)!);
      expect(segment.graph.input.map((t) => t.name)).toEqual(inputs.map((t) => t.name));
      expect(segment.graph.output.map((t) => t.name)).toEqual(outputs.map((t) => t.name));
      expect(segment.graph.input.every((t) => t.type?.value.case === 'tensorType')).toBe(true);
      expect(segment.opsetImport[0]!.version).toBe(13n);
    }
    expect(readOnnx(files.get('s1.onnx')!).graph.initializer.map((t) => t.name)).toEqual(['w2', 'w3']);
  });

  it('gives the same bytes every time, whatever the order of the cuts', async () => {
    const first = await partitionModel(tinyNet(), { name: 'tiny', probe, cuts: ['r1', 'gap'] });
    const again = await partitionModel(tinyNet(), { name: 'tiny', probe, cuts: ['gap', 'r1'] });
    expect(again).toEqual(first);
    // The browser's test (partition.gpu.test.ts) expects the same.
    expect(first.manifest.id).toBe('e38b365bd9f72a2a1f1e2b30edc492ba9b4ffce76dd51bd524516c9f822ac68b');
  });

  it('keeps open dimensions of outputs by name', async () => {
    const bytes = model({ ...pair, nodes: [node('Relu', 'x', 'a'), node('NonZero', 'a', 'y')] });
    const { manifest } = await partitionModel(bytes, { name: 'open', probe, cuts: ['a'] });
    expect(manifest.outputs).toEqual([{ name: 'y', dtype: 'int64', shape: [2, 'open1'] }]);
  });

  it('leaves a model without bottleneck in one piece', async () => {
    const bytes = model({ ...pair, nodes: [node('Relu', 'x', 'y')] });
    const { manifest, files } = await partitionModel(bytes, { name: 'one', probe });
    expect(manifest.cuts).toEqual([]);
    expect([...files.keys()]).toEqual(['s0.onnx']);
  });

  const acme = (m: { opsetImport: { domain: string; version: bigint }[] }) =>
    m.opsetImport.push({ ...m.opsetImport[0]!, domain: 'com.acme', version: 1n });
  it.each<[string, Uint8Array, object, string, RegExp]>([
    [
      'an operator nobody has',
      model({ ...pair, nodes: [node('Frobnicate', 'x', 'y')] }),
      {},
      'MODEL_UNSUPPORTED',
      /'Frobnicate'/,
    ],
    [
      'an operator of an unknown domain',
      model({ ...pair, nodes: [node('Frob', 'x', 'y', {}, 'com.acme')] }, { change: acme }),
      {},
      'MODEL_UNSUPPORTED',
      /'com\.acme:Frob'|com\.acme/,
    ],
    [
      'a domain without a version',
      model({ ...pair, nodes: [node('Frob', 'x', 'y', {}, 'com.acme')] }),
      {},
      'MODEL_UNSUPPORTED',
      /com\.acme/,
    ],
    [
      'an open height',
      model({
        nodes: [node('Relu', 'x', 'y')],
        inputs: [value('x', ['N', 3, 'H', 8])],
        outputs: [value('y')],
      }),
      {},
      'SHAPE_UNKNOWN',
      /'x'.*\[N, 3, H, 8\]/,
    ],
    [
      'a cut of unknown shape',
      model({ ...pair, nodes: [node('NonZero', 'x', 'a'), node('Neg', 'a', 'y')] }),
      { cuts: ['a'] },
      'SHAPE_UNKNOWN',
      /'a'.*\[2, \?\]/,
    ],
    [
      'a cut through a sequence',
      model({
        ...pair,
        nodes: [node('SequenceConstruct', 'x x', 'q'), node('ConcatFromSequence', 'q', 'y', { axis: 0 })],
      }),
      { cuts: ['q'] },
      'MODEL_UNSUPPORTED',
      /'q' is no plain tensor/,
    ],
    [
      'a sequence as an output',
      model({ ...pair, nodes: [node('SequenceConstruct', 'x x', 'y')] }),
      {},
      'MODEL_UNSUPPORTED',
      /'y' is no plain tensor/,
    ],
    [
      'a damaged weight',
      model({
        ...pair,
        nodes: [node('Add', 'x w', 'y')],
        weights: [{ ...weight('w', [4]), rawData: new Uint8Array(3) }],
      }),
      {},
      'MODEL_INVALID',
      /onnxruntime refuses/,
    ],
    ['a name that no URL can bear', tinyNet(), { name: '../x' }, 'OPTION_INVALID', /name/],
  ])('refuses %s', async (_, bytes, options, code, message) => {
    const attempt = partitionModel(bytes, { name: 'bad', probe, ...options });
    await expect(attempt).rejects.toMatchObject({
      name: 'IsthmusError',
      code,
      message: expect.stringMatching(message),
    });
  });

  it('meets damage of any kind with its own errors only', async () => {
    const good = tinyNet();
    const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(damage, async (changes) => {
        const bytes = good.slice();
        for (const [at, byte] of changes) bytes[at] = byte;
        await partitionModel(bytes, { name: 'damaged', probe }).catch((thrown) => {
          expect(thrown).toBeInstanceOf(IsthmusError);
          expect(thrown.code).not.toBe('INTERNAL');
        });
      }),
      { numRuns: 300, seed: 11 },
    );
  });

  it('refuses inputs that are no tensors', async () => {
    const bytes = model(
      { ...pair, nodes: [node('ConcatFromSequence', 'x', 'y', { axis: 0 })] },
      {
        change(m) {
          const tensor = m.graph!.input[0]!.type!;
          m.graph!.input[0]!.type = {
            ...tensor,
            value: {
              case: 'sequenceType',
              value: { $typeName: 'onnx.TypeProto.Sequence', elemType: tensor },
            },
          };
        },
      },
    );
    await expect(partitionModel(bytes, { name: 'bad', probe })).rejects.toMatchObject({
      code: 'MODEL_UNSUPPORTED',
      message: expect.stringMatching(/'x' is a sequence/),
    });
  });

  it('accepts an open height that the caller fixes', async () => {
    const open = {
      nodes: [node('Relu', 'x', 'a'), node('Exp', 'a', 'y')],
      inputs: [value('x', ['N', 3, 'H', 8])],
      outputs: [value('y')],
    };
    const options = { name: 'fixed', probe, cuts: ['a'] };
    const { manifest } = await partitionModel(model(open), { ...options, shapes: { x: [1, 3, 4, 8] } });
    expect(manifest.cuts[0]!.tensors[0]!.shape).toEqual([1, 3, 4, 8]);
    for (const shapes of [{ x: [1, 2, 4, 8] }, { x: [1, 3, 4] }, { nobody: [1] }]) {
      await expect(partitionModel(model(open), { ...options, shapes })).rejects.toMatchObject({
        code: 'OPTION_INVALID',
      });
    }
  });

  it('settles shapes that follow from other shapes by fixing the batch', async () => {
    // What exporters write for x.view(x.size(0), -1): with a symbolic batch the second dimension stays open.
    const bytes = model(
      {
        inputs: [value('x', ['N', 3, 4])],
        outputs: [value('y')],
        nodes: [
          node('Shape', 'x', 's'),
          node('Gather', 's zero', 'n'),
          node('Unsqueeze', 'n', 'n1', { axes: [0] }),
          node('Concat', 'n1 rest', 'target', { axis: 0 }),
          node('Reshape', 'x target', 'flat'),
          node('Relu', 'flat', 'y'),
        ],
        weights: [integers('zero', [0], []), integers('rest', [-1])],
      },
      { opset: 9 },
    );
    const { manifest } = await partitionModel(bytes, { name: 'view', probe, cuts: ['flat'] });
    expect(manifest.cuts[0]!.tensors).toEqual([
      { name: 'flat', dtype: 'float32', shape: [expect.anything(), 12] },
    ]);
    const inside = await partitionModel(bytes, { name: 'view', probe, cuts: ['n1'] });
    expect(inside.manifest.cuts[0]!.tensors.map((t) => [t.name, t.dtype])).toEqual([
      ['x', 'float32'],
      ['n1', 'int64'],
    ]);
  });
});
