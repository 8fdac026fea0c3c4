// The generator of the load benchmark, in a process of its own. Open loop: requests leave at times drawn beforehand, whether
// or not answers came, and latency counts from the time meant, so a stalled server cannot hide what it did to those that
// would have come meanwhile (coordinated omission).
import { encodeFrame, type PresetName } from '../src/codec/index.ts';
import { concreteShape, type Manifest, modelTag } from '../src/model/manifest.ts';
import { elementCount } from '../src/tensor.ts';
import { type Channel, openChannel, type TransportName } from './loadChannels.ts';
import { playRole } from './loadRoles.ts';
import type { ServerAnswer } from './loadServer.ts';

export interface OpenQuestion {
  transport: TransportName;
  server: ServerAnswer;
  manifest: Manifest;
  cut: number;
  codec: PresetName;
}

export interface LoadQuestion {
  /** Requests a second; 0: closed loop, each of `workers` sends its next when it has its answer. */
  rate: number;
  workers: number;
  ms: number;
  deadlineMs: number;
}

export interface LoadAnswer {
  sent: number;
  /** Answers in time, and how many of them a second. */
  ok: number;
  goodput: number;
  /** OVERLOADED, in milliseconds at the median. */
  refused: number;
  refusedMs: number;
  /** All other errors, by code. */
  errors: Record<string, number>;
  /** Milliseconds of the answers in time. */
  p50: number;
  p95: number;
  p99: number;
  /** Milliseconds that requests left later than meant, 99th percentile: the generator's own fault. */
  late: number;
}

/** Different features, so that nothing can be answered from memory. */
const FRAMES = 8;
/**
 * Requests under way at most, as of so many clients that have one each; one that would come beside them is HELD back by its
 * client and counts as not answered. Without it the backlog would grow in this process instead of in a tail.
 */
const CLIENTS = 256;
/** Timers are no finer than a millisecond; the rest is waited for by turning. */
const TURNING_MS = 1.5;

export async function playClient(): Promise<void> {
  let channel: Channel | undefined;
  let frames: Uint8Array[] = [];
  await playRole(
    {
      async open({ transport, server, manifest, cut, codec }: OpenQuestion) {
        channel?.close();
        frames = Array.from({ length: FRAMES }, (_, seed) => featureFrame(manifest, cut, codec, seed));
        channel = await openChannel(transport, server, manifest.name);
        return { bytes: frames[0]!.byteLength };
      },
      load: (question: LoadQuestion) => load(channel!, frames, question),
    },
    async () => channel?.close(),
  );
}

function featureFrame(manifest: Manifest, cut: number, codec: PresetName, seed: number): Uint8Array {
  const tensors = manifest.cuts[cut]!.tensors.map((info) => {
    const shape = concreteShape(info);
    // Like a feature after a ReLU: half of it zero.
    const value = (_: unknown, i: number) => Math.max(0, Math.sin((i + 977 * seed) * 12.9898));
    return {
      dtype: 'float32' as const,
      shape,
      data: Float32Array.from({ length: elementCount(shape) }, value),
    };
  });
  return encodeFrame(tensors, { codec, modelTag: modelTag(manifest), cut });
}

async function load(
  channel: Channel,
  frames: readonly Uint8Array[],
  { rate, workers, ms, deadlineMs }: LoadQuestion,
): Promise<LoadAnswer> {
  const times: number[] = [];
  const refusals: number[] = [];
  const lateness: number[] = [];
  const errors: Record<string, number> = {};
  let sent = 0;
  let underWay = 0;
  const started = performance.now();
  const ask = async (meant: number) => {
    lateness.push(performance.now() - meant);
    if (underWay >= CLIENTS) {
      errors.HELD = (errors.HELD ?? 0) + 1;
      return;
    }
    underWay++;
    const code = await channel.send(frames[sent++ % frames.length]!, deadlineMs);
    underWay--;
    const took = performance.now() - meant;
    if (code === 'OVERLOADED') refusals.push(took);
    else if (code !== 'ok') errors[code] = (errors[code] ?? 0) + 1;
    else if (took > deadlineMs) errors.LATE = (errors.LATE ?? 0) + 1;
    else times.push(took);
  };
  if (rate > 0) {
    const asked: Promise<void>[] = [];
    const random = randomNumbers(1 + Math.round(rate));
    for (let meant = started; meant < started + ms; meant += (-1000 / rate) * Math.log(1 - random())) {
      await until(meant);
      asked.push(ask(meant));
    }
    await Promise.all(asked);
  } else {
    const worker = async () => {
      while (performance.now() < started + ms) await ask(performance.now());
    };
    await Promise.all(Array.from({ length: workers }, worker));
  }
  const seconds = (rate > 0 ? ms : performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const at = (sorted: readonly number[], share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return {
    sent,
    ok: times.length,
    goodput: times.length / seconds,
    refused: refusals.length,
    refusedMs: at(
      refusals.sort((a, b) => a - b),
      0.5,
    ),
    errors,
    p50: at(times, 0.5),
    p95: at(times, 0.95),
    p99: at(times, 0.99),
    late: at(
      lateness.sort((a, b) => a - b),
      0.99,
    ),
  };
}

/** Lets answers be read at least so often, also when requests are behind their time. */
const YIELD_MS = 1;
let yielded = 0;

async function until(time: number): Promise<void> {
  const wait = time - performance.now() - TURNING_MS;
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  while (performance.now() < time || performance.now() - yielded > YIELD_MS) {
    await new Promise((resolve) => setImmediate(resolve));
    yielded = performance.now();
  }
}

/** mulberry32: the same arrivals in every run. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
