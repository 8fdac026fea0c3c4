// Chooses and opens the engine: forced, remembered, or measured on both devices with segment 0. It loads no more than
// that segment and keeps no state of its own.
import { IsthmusError } from '../errors.ts';
import type { Manifest } from '../model/manifest.ts';
import type { GpuHandle } from './device.ts';
import { type DeviceChoice, recallChoice, rememberChoice } from './deviceChoice.ts';
import type { Engine } from './engine.ts';
import { createGpuEngine } from './gpuEngine.ts';
import type { DeviceReport } from './runtime.ts';
import type { SafeStore } from './store/safeStore.ts';
import { createWasmEngine } from './wasmEngine.ts';

export type DeviceWish = 'auto' | 'webgpu' | 'wasm';

/**
 * @param gpu the device, or why there is none
 * @param firstSegment bytes of segment 0, for measuring
 * @param store keeps what was measured, the device's choice and the encoder's tuning, for the next visit
 * @throws IsthmusError WEBGPU_UNAVAILABLE when WebGPU is forced, INFERENCE_FAILED when nothing runs segment 0
 */
export async function openEngine(
  wish: DeviceWish,
  gpu: GpuHandle | IsthmusError,
  manifest: Manifest,
  firstSegment: Uint8Array,
  store: SafeStore,
): Promise<Engine> {
  if (wish === 'wasm') return createWasmEngine(manifest);
  if (gpu instanceof IsthmusError) {
    if (wish === 'webgpu') throw gpu;
    return createWasmEngine(manifest, { note: gpu.message });
  }
  if (wish === 'webgpu') return createGpuEngine(manifest, gpu, {}, store);

  const { adapter } = gpu.report;
  const known = await recallChoice(store, adapter, manifest);
  if (known) return pick(known, gpu, manifest, store);

  const onWasm = createWasmEngine(manifest);
  let wasm: number;
  try {
    wasm = await time(onWasm, firstSegment);
  } catch (thrown) {
    await onWasm.close();
    return onlyGpu(createGpuEngine(manifest, gpu, {}, store), firstSegment, thrown);
  }
  const onGpu = createGpuEngine(manifest, gpu, {}, store);
  let webgpu: number;
  try {
    webgpu = await time(onGpu, firstSegment);
    // Work on a lost device ends at once and without complaint; such a figure must not be remembered.
    if (onGpu.lost) throw new IsthmusError('DEVICE_LOST', 'The GPU was lost while it was measured.');
  } catch (thrown) {
    await onWasm.close();
    return withoutGpu(onGpu, manifest, thrown);
  }
  const measured = { webgpu, wasm };
  const [winner, loser] = webgpu < wasm ? [onGpu, onWasm] : [onWasm, onGpu];
  const choice: DeviceChoice = { kind: winner === onGpu ? 'webgpu' : 'wasm', measured };
  await Promise.all([loser.close(), rememberChoice(store, adapter, manifest, choice)]);
  Object.assign(winner.report, explain(choice, adapter));
  return winner;
}

/** Some operators exist on the GPU only. @throws what WebAssembly threw, when the GPU fails as well. */
async function onlyGpu(onGpu: Engine, firstSegment: Uint8Array, reason: unknown): Promise<Engine> {
  try {
    await onGpu.add(0, firstSegment);
    return onGpu;
  } catch {
    await onGpu.close();
    throw reason;
  }
}

/** Closes an engine whose GPU failed and goes on in WebAssembly, saying why. */
export async function withoutGpu(failed: Engine, manifest: Manifest, reason: unknown): Promise<Engine> {
  await failed.close();
  const why = reason instanceof Error ? reason.message : String(reason);
  return createWasmEngine(manifest, { note: `WebGPU was given up: ${why}` });
}

function pick(choice: DeviceChoice, gpu: GpuHandle, manifest: Manifest, store: SafeStore): Engine {
  const extras = explain(choice, gpu.report.adapter);
  if (choice.kind === 'webgpu') return createGpuEngine(manifest, gpu, extras, store);
  gpu.device.destroy();
  return createWasmEngine(manifest, extras);
}

function explain({ kind, measured }: DeviceChoice, adapter: string): Partial<DeviceReport> {
  if (kind === 'webgpu') return { measured };
  const [slow, fast] = [measured.webgpu.toFixed(1), measured.wasm.toFixed(1)];
  return { measured, note: `WebGPU on ${adapter} took ${slow} ms where WebAssembly took ${fast} ms` };
}

async function time(engine: Engine, firstSegment: Uint8Array): Promise<number> {
  await engine.add(0, firstSegment);
  return engine.measure();
}
