// Engine on the CPU: preprocessing and codec in TypeScript, segments on onnxruntime's WebAssembly backend.
import type * as ort from 'onnxruntime-web/webgpu';
import { encodeTensor } from '../codec/cpu/encode.ts';
import { preprocessImage } from '../image/preprocess.ts';
import type { Manifest } from '../model/manifest.ts';
import { chainWithExits } from './chainWithExits.ts';
import { preprocessOf } from './checkInput.ts';
import { describeCpu } from './device.ts';
import type { Engine, EngineInput } from './engine.ts';
import { medianOfRuns, zeroInputs } from './measure.ts';
import { wasmThreads } from './ortEnvironment.ts';
import { readPixels } from './picture.ts';
import type { DeviceReport } from './runtime.ts';
import { fromOrt, SegmentChain, toOrt } from './segments.ts';

/** @param extras `measured` and `note` of the report */
export function createWasmEngine(manifest: Manifest, extras: Partial<DeviceReport> = {}): Engine {
  const chain = new SegmentChain(manifest);
  const outputNames = manifest.outputs.map((o) => o.name);
  const report: DeviceReport = {
    kind: 'wasm',
    adapter: describeCpu(wasmThreads()),
    software: false,
    ...extras,
  };

  function feeds(input: EngineInput): Map<string, ort.Tensor> {
    if ('tensors' in input) return new Map(Object.entries(input.tensors).map(([n, t]) => [n, toOrt(t)]));
    const spec = preprocessOf(manifest);
    return new Map([[spec.input, toOrt(preprocessImage(readPixels(input.picture), spec))]]);
  }

  async function run(input: EngineInput, last: number, names: string[]) {
    const started = performance.now();
    const inputs = feeds(input);
    const prepared = performance.now();
    const result = await chain.run(inputs, last, names);
    const tensors = await fromOrt(result.tensors, names);
    result.dispose();
    const preprocess = 'picture' in input ? { preprocess: prepared - started } : {};
    return { tensors, timings: { ...preprocess, head: performance.now() - prepared } };
  }

  const cutNames = (cut: number) => manifest.cuts[cut]!.tensors.map((t) => t.name);

  return {
    report,
    lost: false,
    onLost: undefined,
    has: (segment) => chain.has(segment),
    add: (segment, bytes) => chain.add(segment, bytes),
    async warmUp() {}, // nothing is compiled late
    async head(input, cut, codec) {
      const names = cutNames(cut);
      const { tensors, timings } = await run(input, cut, names);
      const started = performance.now();
      const encoded = names.map((name) => encodeTensor(tensors[name]!, codec));
      return { tensors: encoded, timings: { ...timings, encode: performance.now() - started } };
    },
    async early(input, plan, onAnswer) {
      const started = performance.now();
      const inputs = feeds(input);
      const prepared = performance.now();
      const { answers, result, dispose } = await chainWithExits(chain, manifest, inputs, plan, onAnswer);
      const names = cutNames(plan.cut);
      const tensors = result && (await fromOrt(result.tensors, names));
      dispose();
      const ran = performance.now();
      const preprocess = 'picture' in input ? { preprocess: prepared - started } : {};
      const timings = { ...preprocess, head: ran - prepared };
      if (!tensors) return { answers, timings };
      const encoded = names.map((name) => encodeTensor(tensors[name]!, plan.codec));
      return { answers, tensors: encoded, timings: { ...timings, encode: performance.now() - ran } };
    },
    async local(input) {
      const { tensors, timings } = await run(input, manifest.segments.length - 1, outputNames);
      return { outputs: tensors, timings };
    },
    feature: async (input, cut) => (await run(input, cut, cutNames(cut))).tensors,
    async measure() {
      const names = manifest.segments[0]!.outputs.map((o) => o.name);
      const tensors = zeroInputs(manifest);
      return medianOfRuns(async () => {
        await run({ tensors }, 0, names);
      });
    },
    close: () => chain.release(),
  };
}
