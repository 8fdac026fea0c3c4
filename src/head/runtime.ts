// HeadRuntime: what the client asks of the side that computes on this device. Two implementations stand behind it:
// the browser's worker (src/worker) and Node (src/head/node/nodeRuntime.ts). It knows nothing of links or plans.
import type { CodecParams } from '../codec/params.ts';
import type { IsthmusError } from '../errors.ts';
import type { ExitVerdict } from '../model/exitRule.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Tensors } from '../tensor.ts';

type DeviceKind = 'webgpu' | 'wasm' | 'node';

export interface DeviceReport {
  kind: DeviceKind;
  /** Adapter or CPU in words: vendor, architecture, whether it is a software adapter. */
  adapter: string;
  software: boolean;
  /** With `device: 'auto'`: measured milliseconds of the first segment on each device. */
  measured?: { webgpu?: number; wasm?: number };
  /** Why WebGPU was not used, when it was wanted. */
  note?: string;
}

/** Pixels as RGBA bytes, row-major, not premultiplied. */
export interface Pixels {
  width: number;
  height: number;
  data: Uint8ClampedArray | Uint8Array;
}

/** What a runtime accepts as input: a picture the platform decoded, an encoded picture, or named tensors. */
export type RuntimeInput =
  | { kind: 'bitmap'; bitmap: ImageBitmap }
  | { kind: 'file'; bytes: Uint8Array }
  | { kind: 'pixels'; pixels: Pixels }
  | { kind: 'tensors'; tensors: Tensors };

/** Milliseconds per stage on this device; absent stages did not happen. */
export interface StageTimes {
  preprocess?: number;
  head?: number;
  /** Codec on the device, read-back included. */
  encode?: number;
}

export interface HeadResult {
  /** A whole request frame (FORMAT.md), ready to send. */
  frame: Uint8Array;
  timings: StageTimes;
  /** Bytes of the feature as raw float32, for comparison. */
  rawBytes: number;
}

export interface LocalResult {
  outputs: Tensors;
  timings: StageTimes;
}

/** A head with early exits on its way (docs/exits.md). */
export interface EarlyPlan {
  /** Indices into the manifest's exits, in the order of their cuts, none behind `cut`. */
  exits: readonly number[];
  /** Where the feature is encoded when no exit is sure enough. */
  cut: number;
  codec: CodecParams;
}

/** What an exit said. */
export interface ExitAnswer extends ExitVerdict {
  exit: number;
  outputs: Tensors;
}

export interface EarlyResult {
  /** Of the exits that ran, in their order. Where one was sure enough it is the last, and there is no `head`. */
  answers: ExitAnswer[];
  head?: Pick<HeadResult, 'frame' | 'rawBytes'>;
  timings: StageTimes;
}

/** `loaded` and `total` in bytes over all files of this step. */
export interface Progress {
  stage: 'download' | 'compile';
  loaded: number;
  total: number;
}

export interface LoadOptions {
  manifest: Manifest;
  /** `GET ${artifacts}/${sha256}` answers a segment's bytes. */
  artifacts: string;
  token?: string;
  /** Fetch the exits of the loaded segments too. One that cannot be fetched is no failure: it is done without. */
  exits?: boolean;
  /** Take segments from this device's store only: DOWNLOAD_FAILED at once where one is not there. */
  keptOnly?: boolean;
}

/** How a runtime comes back when its device or its worker is lost: by itself, in the background. */
export interface Recovery {
  /** Why head, early and local would have to wait just now; undefined while they would not. */
  readonly trouble: IsthmusError | undefined;
  /** `work`, unless there is trouble before it is done. What it yields after that is dropped. @throws the trouble */
  unlessTroubled<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * Where a method takes `wait`: whether it waits for a device that was lost, and is run again on the new one (the default). Else
 * it rejects at once with DEVICE_LOST or WORKER_FAILED, for callers that have another way to an answer.
 */
export interface HeadRuntime {
  readonly device: DeviceReport;
  /** Absent where nothing comes back by itself. Under trouble `remote` works all the same. */
  readonly recovery?: Recovery;
  /** Downloads (or takes from the cache) and compiles segments first…last; those that are there already cost nothing. */
  load(options: LoadOptions, last: number, onProgress?: (p: Progress) => void): Promise<void>;
  /** Runs segments 0…cut and encodes the feature at that cut. */
  head(input: RuntimeInput, cut: number, codec: CodecParams, wait?: boolean): Promise<HeadResult>;
  /**
   * Runs the head, asking exits on its way, and stops at the first that is sure enough. Exits that are not here and cannot be
   * fetched are left out. Absent where the runtime knows no exits.
   *
   * @param onAnswer told of each answer that was not sure enough as it is there, before the rest of the head runs; of one twice
   *   when the device is lost meanwhile
   */
  early?(
    input: RuntimeInput,
    plan: EarlyPlan,
    onAnswer?: (answer: ExitAnswer) => void,
    wait?: boolean,
  ): Promise<EarlyResult>;
  /** Runs every segment here. */
  local(input: RuntimeInput, wait?: boolean): Promise<LocalResult>;
  /** The picture as an upload: resized and cropped to the model's input, JPEG or WebP; or raw tensors. */
  remote(input: RuntimeInput, format: 'jpeg' | 'webp', quality: number): Promise<HeadResult>;
  /**
   * What `remote` can write a picture as, found out at the first call: ask where it matters only. Absent where JPEG alone is known
   * to work.
   */
  formats?(): Promise<readonly ('jpeg' | 'webp')[]>;
  /** Feature bytes as gzip of float16, the yardstick of the page and the benchmarks; runs on demand. */
  gzipFp16Bytes(input: RuntimeInput, cut: number): Promise<number>;
  close(): Promise<void>;
}
