// The types of the public client API: what `connect` takes and what a session gives back. No behaviour here.
import type { CodecParams, PresetName } from '../codec/params.ts';
import type { DeviceReport, HeadRuntime, Pixels } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Tensors } from '../tensor.ts';

/**
 * How a session may compute. `prefer-*` falls back when its way fails and says so in `report.degraded`;
 * `only-*` throws instead.
 */
export type Mode =
  | 'prefer-split'
  | 'only-split'
  | 'prefer-local'
  | 'only-local'
  | 'prefer-remote'
  | 'only-remote';

/** What `session.run` accepts: a picture in any form the platform knows, or named tensors. */
export type Input =
  | Blob
  | ImageBitmap
  | ImageData
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLImageElement
  | HTMLVideoElement
  | VideoFrame
  | Uint8Array
  | Pixels
  | Tensors;

export interface ConnectProgress {
  stage: 'manifest' | 'download' | 'compile';
  /** Bytes so far and in all; `total` is 0 while unknown. */
  loaded: number;
  total: number;
}

export interface ConnectOptions {
  /** `auto` measures WebGPU and wasm once and takes the faster. Ignored in Node. */
  device?: 'auto' | 'webgpu' | 'wasm';
  mode?: Mode;
  transport?: 'auto' | 'fetch';
  /** Name or index of the cut; default: the cut with the smallest raw feature in the first half of the work. */
  cut?: string | number;
  /** Preset name or full codec parameters; default `slicer`. */
  codec?: PresetName | CodecParams;
  /** Upload of the remote plan. */
  upload?: { format?: 'jpeg' | 'webp'; quality?: number };
  token?: string | (() => string | Promise<string>);
  onProgress?: (p: ConnectProgress) => void;
  signal?: AbortSignal;
  /** For pages whose bundler cannot follow `new Worker(new URL(…))`: makes the worker from src/worker/entry. */
  worker?: () => Worker;
  /** Replaces the platform's runtime; used by tests and by hosts with their own engine. */
  runtime?: HeadRuntime;
}

export interface RunOptions {
  /** Milliseconds from now after which the answer is no longer wanted. */
  deadlineMs?: number;
  signal?: AbortSignal;
  /** Override the session's choice for this run only. */
  mode?: Mode;
  cut?: string | number;
  codec?: PresetName | CodecParams;
}

/** Milliseconds per stage, in the order they happen; a stage that did not happen is absent. */
export interface Timings {
  preprocess?: number;
  head?: number;
  encode?: number;
  uplink?: number;
  decode?: number;
  tail?: number;
  downlink?: number;
  /** Wall clock from call to answer. */
  total: number;
}

export interface Report {
  /** Where the answer was computed. */
  ran: 'split' | 'local' | 'remote';
  cut?: string;
  preset?: string;
  device: DeviceReport;
  bytes: {
    up: number;
    down: number;
    /** The feature as float32. */
    raw?: number;
  };
  ms: Timings;
  model: { name: string; id: string };
  /** Why another way than the wanted one was taken. */
  degraded?: string;
}

export interface Label {
  index: number;
  label: string;
  /** Probability, 0…1. */
  score: number;
}

export interface Result {
  outputs: Tensors;
  /** Best first, at most five; only for models whose manifest has labels. */
  labels?: Label[];
  report: Report;
}

/** Bytes of the alternatives for one picture, for tables and for the page. */
export interface Rivals {
  /** The feature at the session's cut. */
  rawFloat32: number;
  gzipFp16: number;
  /** The picture cropped and scaled to the model's input, as uploads. */
  jpeg: number;
  webp?: number;
  /** The file as it was given, where it was a file. */
  original?: number;
}

export interface Session extends AsyncDisposable {
  readonly manifest: Manifest;
  readonly device: DeviceReport;
  /** Runs one input. @throws IsthmusError, or AbortError when `signal` fires. */
  run(input: Input, options?: RunOptions): Promise<Result>;
  /** Measures what other ways of sending this input would weigh. Sends nothing. */
  rivals(input: Input, options?: Pick<RunOptions, 'cut' | 'signal'>): Promise<Rivals>;
  close(): Promise<void>;
}
