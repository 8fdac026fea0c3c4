// A cut of several tensors and element types: float32 stays on the GPU and takes the WGSL encoder, the others go over
// the CPU, and in the frame they stand in the manifest's order with the bits that the codec alone gives them.
import { expect, test } from 'vitest';
import { decodeTensor } from '../codec/cpu/decode.ts';
import { encodeTensor } from '../codec/cpu/encode.ts';
import { PRESETS } from '../codec/params.ts';
import { sha256Hex } from '../model/manifest.ts';
import { type Partition, partitionModel } from '../model/partition.ts';
import { webShapeProbe } from '../model/probeWeb.ts';
import { ELEMENT } from '../model/tensorInfo.ts';
import { model, node, value } from '../model/testGraphs.fixture.ts';
import { readFrame } from '../wire/readFrame.ts';
import { createBrowserRuntime } from './browserRuntime.ts';
import type { HeadRuntime, RuntimeInput } from './runtime.ts';
import { ModelStore } from './store/modelStore.ts';
import { serveFiles } from './tinyModel.fixture.ts';

/** x → k of another type, r float32 ‖ → y = r + k */
function mixed(type: 'int64' | 'float16'): Promise<Partition> {
  const nodes = [
    node('Cast', 'x', 'k', { to: ELEMENT[type] }),
    node('Relu', 'x', 'r'),
    node('Cast', 'k', 'k32', { to: ELEMENT.float32 }),
    node('Add', 'r k32', 'y'),
  ];
  const bytes = model({ nodes, inputs: [value('x', [1, 6])], outputs: [value('y', [1, 6])] });
  return partitionModel(bytes, { name: 'mixed', probe: webShapeProbe, cuts: ['k+r'] });
}

async function runtimeOn(device: 'webgpu' | 'wasm', { manifest, files }: Partition): Promise<HeadRuntime> {
  const byHash = new Map<string, Uint8Array>();
  for (const content of files.values()) byHash.set(await sha256Hex(content), content);
  const runtime = await createBrowserRuntime({
    device,
    store: new ModelStore({ fetch: serveFiles(byHash) }),
  });
  await runtime.load({ manifest, artifacts: '/artifacts' }, 1);
  return runtime;
}

const x = Float32Array.of(-1.5, 0, 0.25, 1, 2.5, 1000.5);
const tensors: RuntimeInput = {
  kind: 'tensors',
  tensors: { x: { dtype: 'float32', shape: [1, 6], data: x } },
};
const WHOLE = {
  data: () => BigInt64Array.of(-1n, 0n, 0n, 1n, 2n, 1000n),
  y: [-1, 0, 0.25, 2, 4.5, 2000.5],
  bytes: 6 * (8 + 4),
};
const HALF = {
  data: () => Uint16Array.of(0xbe00, 0, 0x3400, 0x3c00, 0x4100, 0x63d1),
  y: [-1.5, 0, 0.5, 2, 5, 2001],
  bytes: 6 * (2 + 4),
};

// Software adapters have no 16-bit floats in shaders, so float16 is shown in WebAssembly.
test.each([
  ['webgpu', 'int64', WHOLE],
  ['wasm', 'int64', WHOLE],
  ['wasm', 'float16', HALF],
] as const)('on %s %s crosses beside float32', async (device, type, wanted) => {
  const part = await mixed(type);
  const order = part.manifest.cuts[0]!.tensors.map((t) => t.name);
  expect([...order].sort()).toEqual(['k', 'r']);
  const runtime = await runtimeOn(device, part);
  try {
    for (const codec of [PRESETS.raw, PRESETS.slicer]) {
      const { frame, rawBytes } = await runtime.head(tensors, 0, codec);
      expect(rawBytes).toBe(wanted.bytes);
      const sent = readFrame(frame).tensors.map((t) => decodeTensor(t));
      const k = sent[order.indexOf('k')]!;
      const r = sent[order.indexOf('r')]!;
      expect(k).toMatchObject({ dtype: type, shape: [1, 6] });
      const exact = { dtype: type, shape: [1, 6], data: wanted.data() };
      expect([...k.data]).toEqual([...decodeTensor(encodeTensor(exact, codec)).data]);
      if (codec.family === 'raw') expect([...k.data]).toEqual([...exact.data]);
      expect(r).toMatchObject({ dtype: 'float32', shape: [1, 6] });
      if (codec.family === 'raw') expect([...r.data]).toEqual([0, 0, 0.25, 1, 2.5, 1000.5]);
    }
    const { outputs } = await runtime.local(tensors);
    expect([...outputs.y!.data]).toEqual(wanted.y);
  } finally {
    await runtime.close();
  }
});
