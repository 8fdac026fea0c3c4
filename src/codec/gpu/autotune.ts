// Finds the tuning that encodes fastest on an adapter, by encoding a synthetic feature with the real encoder. Variants
// that win on one vendor lose on another, so nothing is assumed. Bytes are compared on the way: a candidate whose bytes
// differ from the baseline's is a driver's defect and drops out.
import { type EncodedTensor, PRESETS } from '../params.ts';
import { GpuEncoder, type GpuFeature } from './encoder.ts';
import { SOFTWARE, type Tuning, tuningFor } from './tuning.ts';

/** Where results are kept between visits. A failing store is an empty one. */
export interface TuningStore {
  get(key: string): Promise<unknown>;
  set(key: string, value: unknown): Promise<unknown>;
}

export interface AutotuneOptions {
  store?: TuningStore;
  /** No new measurement begins after this many milliseconds, and none is waited for; default 1500. */
  budget?: number;
  /** Awaited before each measurement: resolves when the GPU has nothing better to do. */
  idle?: () => Promise<void>;
  signal?: AbortSignal;
}

export interface Autotuned {
  tuning: Tuning;
  /** Milliseconds of a frame per candidate, in the order tried; empty when the result was remembered. */
  measured: readonly { tuning: Tuning; milliseconds: number }[];
}

/** A feature of middle size: 128 × 28 × 28, after a ReLU. */
const ELEMENTS = 100_352;
const SAMPLES = 5;
/** Frames under way at once in a sample, so that the latency of one map does not hide the work. */
const FRAMES = 3;
/** A candidate has to be this much faster than the default, so that noise does not decide. */
const WORTH_IT = 0.95;
/** So much slower than the best after two samples: the others are saved. */
const HOPELESS = 1.5;

/** Adapter in words → result, for as long as the page or worker lives. */
const remembered = new Map<string, unknown>();
const IN_MEMORY: TuningStore = {
  get: async (key) => remembered.get(key),
  set: async (key, value) => remembered.set(key, value),
};

/** All that may change the answer. */
function keyOf(device: GPUDevice): string {
  // Older browsers do not say what the device runs on.
  const {
    vendor,
    architecture,
    device: name,
    description,
  } = (device.adapterInfo ?? {}) as Partial<GPUAdapterInfo>;
  const hasSubgroups = device.features.has('subgroups');
  return ['tuning 1', vendor, architecture, name, description, hasSubgroups, navigator.userAgent].join('|');
}

/**
 * The remembered tuning of the device's adapter, if there is one that it can run.
 */
export async function recallTuning(
  device: GPUDevice,
  store: TuningStore = IN_MEMORY,
): Promise<Tuning | undefined> {
  const found = (await store.get(keyOf(device)).catch(() => undefined)) as Partial<Tuning> | undefined;
  const { workgroup = 0, workgroups = 0, sharedBins, scan } = found ?? {};
  const valid =
    [32, 64, 128, 256].includes(workgroup) &&
    Number.isInteger(workgroups) &&
    workgroups >= 1 &&
    workgroups <= 1024 &&
    typeof sharedBins === 'boolean' &&
    (scan === 'shared' || (scan === 'subgroup' && device.features.has('subgroups')));
  return valid ? { workgroup, workgroups, sharedBins, scan } : undefined;
}

/** Sizes to try, the default first. */
function sizesFor(device: GPUDevice): Pick<Tuning, 'workgroup' | 'workgroups'>[] {
  const { workgroup, workgroups } = tuningFor(device.adapterInfo);
  const others =
    workgroup === SOFTWARE.workgroup
      ? [
          { workgroup: 32, workgroups: 2 },
          { workgroup: 32, workgroups: 8 },
        ]
      : [
          { workgroup: 256, workgroups: 32 },
          { workgroup: 128, workgroups: 64 },
          { workgroup: 256, workgroups: 128 },
        ];
  return [{ workgroup, workgroups }, ...others];
}

/**
 * Measures for a bounded time and remembers the winner. Run it when nobody waits for the GPU; then hand the result to the
 * encoder's `retune`. Never rejects: whatever fails, the default remains.
 *
 * @example
 * const { tuning } = await autotune(device);
 * await encoder.retune(tuning);
 */
export async function autotune(device: GPUDevice, options: AutotuneOptions = {}): Promise<Autotuned> {
  const { store = IN_MEMORY, budget = 1500, idle = async () => undefined, signal } = options;
  const known = await recallTuning(device, store);
  if (known) return { tuning: known, measured: [] };

  const base = tuningFor(device.adapterInfo);
  const measured: { tuning: Tuning; milliseconds: number }[] = [];
  let best: { tuning: Tuning; milliseconds: number } | undefined;
  const feature = synthetic(device);
  const scans = device.features.has('subgroups') ? (['shared', 'subgroup'] as const) : (['shared'] as const);
  const wanted: { bytes?: EncodedTensor } = {};
  let spent = 0;
  const isOver = () => spent >= budget || signal?.aborted === true;
  for (const [i, size] of sizesFor(device).entries()) {
    for (const scan of i === 0 ? scans : [best?.tuning.scan ?? 'shared']) {
      if (isOver()) break;
      await idle();
      const tuning: Tuning = { ...base, ...size, scan };
      const began = performance.now();
      const limit = best ? best.milliseconds * HOPELESS : Number.POSITIVE_INFINITY;
      // A candidate that compiles for long is left to itself: its result is not waited for.
      const milliseconds = await Promise.race([
        measure(device, tuning, feature, wanted, limit, signal).catch(() => undefined),
        new Promise<undefined>((resolve) => setTimeout(resolve, budget - spent)),
      ]);
      spent += performance.now() - began;
      if (milliseconds === undefined) continue;
      measured.push({ tuning, milliseconds });
      if (!best || milliseconds < best.milliseconds * (best === measured[0] ? WORTH_IT : 1))
        best = measured.at(-1)!;
    }
  }
  feature.buffer.destroy();
  const tuning = best?.tuning ?? base;
  // One figure alone says nothing: a visit with more time may measure anew.
  if (measured.length > 1 && !signal?.aborted) await store.set(keyOf(device), tuning).catch(() => undefined);
  return { tuning, measured };
}

/** @returns milliseconds per frame, the median of a few; undefined when the bytes are wrong */
async function measure(
  device: GPUDevice,
  tuning: Tuning,
  feature: GpuFeature,
  wanted: { bytes?: EncodedTensor },
  limit: number,
  signal: AbortSignal | undefined,
): Promise<number | undefined> {
  const encoder = await GpuEncoder.create(device, tuning);
  try {
    const [tensor] = await encoder.encode([feature], PRESETS.slicer); // the first one is slow
    wanted.bytes ??= tensor!;
    if (!isSame(wanted.bytes, tensor!)) return undefined;
    const samples: number[] = [];
    while (samples.length < SAMPLES && !signal?.aborted) {
      const began = performance.now();
      await Promise.all(Array.from({ length: FRAMES }, () => encoder.encode([feature], PRESETS.slicer)));
      samples.push((performance.now() - began) / FRAMES);
      if (samples.length === 2 && Math.min(...samples) > limit) break;
    }
    return samples.sort((a, b) => a - b)[samples.length >> 1];
  } finally {
    encoder.destroy();
  }
}

const isSame = (a: EncodedTensor, b: EncodedTensor) =>
  a.flags === b.flags &&
  a.payload.length === b.payload.length &&
  a.params.every((byte, i) => byte === b.params[i]) &&
  a.payload.every((byte, i) => byte === b.payload[i]);

/** Bell-shaped like what layers put out; the same on every visit. */
function synthetic(device: GPUDevice): GpuFeature {
  const buffer = device.createBuffer({
    label: 'isthmus autotune feature',
    size: ELEMENTS * 4,
    usage: GPUBufferUsage.STORAGE,
    mappedAtCreation: true,
  });
  const data = new Float32Array(buffer.getMappedRange());
  let x = 1;
  const uniform = () => {
    x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
    return x / 2 ** 32 - 0.5;
  };
  for (let i = 0; i < ELEMENTS; i++) data[i] = Math.max(0, uniform() + uniform() + uniform());
  buffer.unmap();
  return { buffer, shape: [1, 128, 28, 28], dtype: 'float32' };
}
