// The GPU half of the codec benchmark, loaded into a page by codecGpu.ts: a device of its own, the real GpuEncoder and
// GpuDecoder, and beside them the bare copy that no codec can undercut.
import { GpuDecoder } from '../src/codec/gpu/decoder.ts';
import { GpuEncoder, type GpuFeature } from '../src/codec/gpu/encoder.ts';
import { type FramePlan, planFrame } from '../src/codec/gpu/framePlan.ts';
import { Recorder } from '../src/codec/gpu/recorder.ts';
import { type Tuning, tuningFor } from '../src/codec/gpu/tuning.ts';
import type { CodecParams, EncodedTensor } from '../src/codec/params.ts';
import { type CodecProfile, parseProfile } from '../src/codec/profile.ts';
import { IsthmusError } from '../src/errors.ts';
import { crc32 } from '../src/wire/crc32.ts';
import { type FeatureSpec, syntheticFeature } from './codecFeatures.ts';
import { type Budget, medianTimes } from './codecTiming.ts';

export interface Adapter {
  name: string;
  software: boolean;
  /** Whether prefix sums can use subgroups here. */
  subgroups: boolean;
}

/** A codec as a plain value; a profile travels as its file. */
export interface PageCodec {
  params: CodecParams;
  profile?: { file: string; name: string };
}

export interface GpuTimes {
  copy: number;
  encode: number;
  selectCompact?: number;
  decode: number;
  dispatches: number;
  submits: number;
  maps: number;
  bytes: number;
  /** CRC-32 of params and payload. */
  checksum: number;
}

let device: GPUDevice;

export async function open(): Promise<Adapter> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) throw new Error('This browser offers no WebGPU adapter.');
  const subgroups = adapter.features.has('subgroups');
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  device = await adapter.requestDevice({
    requiredFeatures: subgroups ? ['subgroups'] : [],
    requiredLimits: { maxBufferSize, maxStorageBufferBindingSize },
  });
  const { vendor, architecture, description } = device.adapterInfo;
  const name = [vendor, architecture, description].filter(Boolean).join(' ');
  return { name, subgroups, software: tuningFor(device.adapterInfo).workgroup < 64 };
}

let source: { key: string; feature: GpuFeature; bytes: number } | undefined;

/** Puts a feature onto the GPU, synthetic or as bytes in base64; it stays for the measurements that follow. */
export function upload(spec: FeatureSpec, base64?: string): void {
  if (source?.key === spec.name) return;
  source?.feature.buffer.destroy();
  const data = base64 === undefined ? syntheticFeature(spec) : new Float32Array(fromBase64(base64).buffer);
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = device.createBuffer({
    label: 'bench feature',
    size: Math.ceil(data.byteLength / 16) * 16,
    usage: STORAGE | COPY_SRC | COPY_DST,
  });
  device.queue.writeBuffer(buffer, 0, data);
  source = {
    key: spec.name,
    bytes: data.byteLength,
    feature: { buffer, shape: spec.shape, dtype: 'float32' },
  };
}

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

/** Measures the codec on the feature that is there. @returns undefined where the GPU does not offer it */
export async function measure(
  codec: PageCodec,
  scan: Tuning['scan'],
  budget: Budget,
): Promise<GpuTimes | undefined> {
  const { feature, bytes } = source!;
  const params = withProfile(codec);
  const tuning: Tuning = { ...tuningFor(device.adapterInfo), scan };
  try {
    planFrame([feature], [params], device.limits, tuning);
  } catch (e) {
    if (e instanceof IsthmusError && e.code === 'CODEC_INVALID') return undefined;
    throw e;
  }
  const encoder = await GpuEncoder.create(device, tuning);
  const decoder = await GpuDecoder.create(device, tuning);
  const readback = device.createBuffer({
    label: 'bench copy',
    size: bytes,
    usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ,
  });
  const selection = params.family === 'slicer' ? await selectCompact(feature, params, tuning) : undefined;
  try {
    const [encoded] = await encoder.encode([feature], params);
    const { dispatches, submits, maps } = encoder.lastFrame;
    const profile = params.family === 'isthmus' ? params.profile : undefined;
    const times = await medianTimes(
      {
        copy: () => copy(feature.buffer, readback, bytes),
        encode: () => encoder.encode([feature], params),
        ...(selection && { selectCompact: selection.run }),
        decode: () => decode(decoder, encoded!, profile),
      },
      budget,
    );
    return {
      copy: times.copy!,
      encode: times.encode!,
      ...(times.selectCompact !== undefined && { selectCompact: times.selectCompact }),
      decode: times.decode!,
      dispatches,
      submits,
      maps,
      bytes: encoded!.params.length + encoded!.payload.length,
      checksum: crc32(encoded!.payload, crc32(encoded!.params)),
    };
  } finally {
    selection?.destroy();
    readback.destroy();
    encoder.destroy();
    decoder.destroy();
  }
}

function withProfile({ params, profile }: PageCodec): CodecParams {
  if (!profile || params.family !== 'isthmus') return params;
  return { ...params, profile: parseProfile(fromBase64(profile.file), profile.name) };
}

/** The raw tensor to where JavaScript can read it: one submit, one copy, one map. */
async function copy(from: GPUBuffer, to: GPUBuffer, bytes: number): Promise<void> {
  const commands = device.createCommandEncoder({ label: 'bench copy' });
  commands.copyBufferToBuffer(from, 0, to, 0, bytes);
  device.queue.submit([commands.finish()]);
  await to.mapAsync(GPUMapMode.READ);
  to.getMappedRange();
  to.unmap();
}

/** Until the feature is there: `GpuDecoder` itself returns when the commands are accepted. */
async function decode(
  decoder: GpuDecoder,
  encoded: EncodedTensor,
  profile: CodecProfile | undefined,
): Promise<void> {
  const features = await decoder.decode([encoded], { profiles: () => profile });
  await device.queue.onSubmittedWorkDone();
  for (const { buffer } of features) buffer.destroy();
}

/**
 * The frame of family slicer without its last pass, which packs bits: from the feature to the survivors in place. Nothing
 * is read back, so it ends when the queue is done.
 */
async function selectCompact(feature: GpuFeature, params: CodecParams, tuning: Tuning) {
  const whole = planFrame([feature], [params], device.limits, tuning);
  const tensors = whole.tensors.map((tensor) => {
    const stages = tensor.plan.stages.map((stage) => ({
      ...stage,
      dispatches: stage.dispatches.filter(({ pass }) => !pass.name.includes('pack')),
    }));
    return { ...tensor, plan: { ...tensor.plan, stages } };
  });
  const plan: FramePlan = { ...whole, tensors };
  const recorder = new Recorder(device);
  const compiled = await recorder.compile(plan);
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const arena = device.createBuffer({
    label: 'bench arena',
    size: plan.arenaBytes,
    usage: STORAGE | COPY_SRC | COPY_DST,
  });
  const input = { ...feature, offset: 0, byteLength: whole.tensors[0]!.feature.byteLength };
  return {
    async run() {
      const commands = device.createCommandEncoder({ label: 'bench select and compact' });
      recorder.record(commands, plan, compiled, [input], arena);
      device.queue.submit([commands.finish()]);
      await device.queue.onSubmittedWorkDone();
    },
    destroy() {
      recorder.destroy();
      arena.destroy();
    },
  };
}
