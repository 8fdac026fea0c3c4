// A float16 cut from end to end in Node: head, every preset, the real tail, the answer; and the tail's JSON, which speaks
// of numbers and not of bit patterns.
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { decodeTensor } from '../codec/cpu/decode.ts';
import { encodeTensor } from '../codec/cpu/encode.ts';
import { PRESETS, type PresetName, resolveCodec } from '../codec/params.ts';
import { toFloat16, toFloat32 } from '../codec/reference/float16.ts';
import { connect } from '../index.node.ts';
import { partition } from '../model/index.ts';
import { randomFeeds, relativeDifference, runChain, runModel } from '../model/node/chain.ts';
import { writeModelFolder } from '../model/node/modelFolder.ts';
import { ELEMENT } from '../model/tensorInfo.ts';
import { model, node, value } from '../model/testGraphs.fixture.ts';
import type { Tensor } from '../tensor.ts';
import { FRAME_TYPE } from '../wire/layout.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import { served } from './served.fixture.ts';

/** x → k float16 → y = 2·k in float32, h = k: an output of halves. */
const bytes = model({
  nodes: [
    node('Cast', 'x', 'k', { to: ELEMENT.float16 }),
    node('Cast', 'k', 'k32', { to: ELEMENT.float32 }),
    node('Add', 'k32 k32', 'y'),
    node('Cast', 'y', 'h', { to: ELEMENT.float16 }),
  ],
  inputs: [value('x', [1, 64])],
  outputs: [value('y', [1, 64]), value('h', [1, 64], ELEMENT.float16)],
});
const models = await mkdtemp(join(tmpdir(), 'isthmus-half-'));
const { manifest, files } = await partition(bytes, { name: 'half', cuts: [['k']] });
await writeModelFolder(join(models, 'half'), { manifest, files });
const { tail } = await served(models);

test('the chain of segments equals the model', async () => {
  const feeds = randomFeeds(manifest.inputs);
  const chained = await runChain([...files.values()], feeds);
  expect(relativeDifference(await runModel(bytes, feeds), chained)).toBe(0); // what `isthmus split --verify` does
});

const x = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i * 12.9898 + 1) * 40);
const halves = toFloat16(x);
const input: { x: Tensor } = { x: { dtype: 'float32', shape: [1, 64], data: x } };
const cut: Tensor = { dtype: 'float16', shape: [1, 64], data: halves };

test.each(Object.keys(PRESETS) as PresetName[])('%s carries a float16 cut', async (codec) => {
  await using session = await connect(`${tail.url}/models/half`, { mode: 'only-split', codec });
  const { outputs, report } = await session.run(input);
  expect(report).toMatchObject({ ran: 'split', preset: codec, bytes: { raw: 128 } });
  const arrived = decodeTensor(encodeTensor(cut, resolveCodec(codec)));
  const want = toFloat32(arrived.data as Uint16Array).map((v) => 2 * v);
  expect(outputs.y!.data).toEqual(want);
  expect(outputs.h).toMatchObject({ dtype: 'float16', data: toFloat16(want) });
});

test('JSON gives halves as numbers', async () => {
  await using session = await connect(`${tail.url}/models/half`, { mode: 'only-local' });
  expect((await session.run(input)).outputs.h!.dtype).toBe('float16');
  const frame = writeFrame({
    kind: 'request',
    modelTag: session.manifest.id.slice(0, 16),
    cut: 0,
    meta: {},
    tensors: [encodeTensor(cut, PRESETS.raw)],
  });
  const response = await fetch(`${tail.url}/models/half/infer`, {
    method: 'POST',
    headers: { 'content-type': FRAME_TYPE, accept: 'application/json' },
    body: frame,
  });
  const { outputs } = (await response.json()) as {
    outputs: { y: { data: number[] }; h: { data: number[] } };
  };
  expect(outputs.h.data).toEqual(outputs.y.data);
});
