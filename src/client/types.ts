// The types of the public client API: what `connect` takes, what a run takes, and the session. No behaviour here; what comes
// back is in resultTypes.ts and planTypes.ts.
// Session is AsyncDisposable, which pages that compile without that library must find declared all the same.
/// <reference lib="esnext.disposable" preserve="true" />
import type { CodecParams, PresetName } from '../codec/params.ts';
import type { DeviceReport, HeadRuntime, Pixels } from '../head/runtime.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Label } from '../model/topLabels.ts';
import type { Limits } from '../planner/limits.ts';
import type { Tensors } from '../tensor.ts';
import type { TransportKind } from '../transport/transport.ts';
import type { WebTransportClass } from '../transport/webtransport.ts';
import type { PlanReport, Rivals } from './planTypes.ts';
import type { Result, TaskAnswer } from './resultTypes.ts';
import type { StreamOptions, StreamResult, StreamSource } from './streamTypes.ts';

export type { CodecParams, Label, Limits, Manifest, PresetName, Tensors, TransportKind, WebTransportClass };

/**
 * How a session may compute. `only-*` throws when its way fails; `prefer-*` takes another one and says so in
 * `report.degraded`:
 *
 * - `prefer-split`: here up to the cut, then the tail; else all here (tail away); else all there (device failed).
 * - `prefer-local`: everything here; else split (the first segments may run where the whole does not); else remote.
 * - `prefer-remote`: the picture travels, cropped to the model's input; else split; else all here.
 * - `auto`: whichever is expected to be the fastest, by measurement (docs/planner.md); the others where it fails.
 *
 * Mistakes of the caller (a broken picture, a wrong option) are thrown in every mode.
 */
export type Mode =
  | 'prefer-split'
  | 'only-split'
  | 'prefer-local'
  | 'only-local'
  | 'prefer-remote'
  | 'only-remote'
  | 'auto';

/**
 * What `session.run` accepts: a picture in any form the platform knows, or named tensors.
 *
 * A Uint8Array (and Node's Buffer) is an encoded picture: JPEG, PNG, WebP, … of at most 40 MiB and 64 megapixels.
 * `Pixels` are RGBA bytes, not premultiplied. `Tensors` are keyed by the manifest's input names, batch of one.
 * Nothing that is passed in is changed, closed or transferred.
 */
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
  /** Default `prefer-split`. */
  mode?: Mode;
  /**
   * How frames travel. `auto` opens a link (WebTransport or WebSocket, whichever is first) beside fetch, which carries what
   * no link can; a kind by name means that one only. Where it is impossible `connect` throws OFFLINE under `only-*`, and else each run
   * says so in `report.degraded`. Default `auto`.
   */
  transport?: 'auto' | TransportKind;
  /**
   * Whether requests over WebTransport go as datagrams, which a lost packet does not hold up: `auto` for small ones
   * beside others while the path carries them well. Default `auto`.
   */
  datagrams?: 'auto' | 'never' | 'always';
  /** A WebTransport class where the platform has none, as Node. */
  webTransport?: WebTransportClass;
  /**
   * Name or index of the cut. Default: the smallest raw feature among the cuts that leave at most three quarters of the
   * multiply-accumulates to this device.
   */
  cut?: string | number;
  /** Preset name or full codec parameters; default `isthmus`, with the calibrated profile of the cut where the manifest has one. */
  codec?: PresetName | CodecParams;
  /**
   * `measured`: what `cut`, `codec` and `upload` leave open is chosen for each run by measurement, within the mode (docs/planner.md).
   * Default: `measured` under the mode `auto`, else `fixed`.
   */
  plan?: 'fixed' | 'measured';
  /** What measured plans must not exceed. `limits.deadlineMs` only ranks ways and ends nothing: the `deadlineMs` of a run does that. */
  limits?: Limits;
  /**
   * How the picture of the remote plan travels; `quality` is 0…1, as for a canvas. Default: JPEG, 0.85. Measured plans choose what is
   * not named here: JPEG or WebP, where this device writes it (Safari does not) and both are calibrated, and the smallest quality that
   * keeps `limits.maxAccuracyLoss`. A quality without a format holds for both. WebP by name is OPTION_INVALID where it cannot be written.
   */
  upload?: { format?: 'jpeg' | 'webp'; quality?: number };
  /**
   * Under `prefer-split`, `prefer-remote` and `auto`: when the tail is slower than it usually is (95th percentile of recent answers,
   * 250 ms at least, 1 s while few are known; under `auto` earlier where the planner expects the device to win, from 20 ms), cannot be
   * reached, or would miss the deadline, the whole model runs here as well if its segments are on this device, and the first answer
   * counts. Default true.
   */
  hedge?: boolean;
  /**
   * Fetch the segments that the mode does not need as well, one by one behind the session's back: for hedges, for answers while the
   * tail is away, and for starts without a network, which need the whole model on this device. It costs the model's bytes once. Default
   * false.
   */
  standby?: boolean;
  /**
   * Under `prefer-*` and `auto`: keep the manifest beside the segments, and start from both where no tail can be reached; answers are
   * then computed here, say why in `report.degraded`, and the tail is looked for in the background. Default true.
   */
  offline?: boolean;
  /**
   * Under `prefer-*` and `auto`, where no cut is named: a device with little memory (2 GiB at most, iPhones, iPads) begins with
   * the earliest cut and goes on to later ones as runs succeed; and so does a page whose last start with this model ended in a
   * crash, in WebAssembly, or at the tail alone after two. `report.degraded` says `CAUTION: …`. Default `auto`.
   */
  careful?: 'auto' | 'off';
  /**
   * Ends the worker between two runs and starts a fresh one, after so many runs or when its WebAssembly and GPU memory have grown
   * to so many megabytes: some browsers never give memory back. Default `auto`: on iPhones and iPads, after 300 runs or at 600.
   */
  recycle?: 'auto' | 'off' | { runs?: number; megabytes?: number };
  /**
   * Early exits of the model (docs/exits.md), under `prefer-split` and `auto`: `auto` asks them on the way to the cut, and one that is sure
   * enough answers without anything being sent. Past the deadline, or when nothing else worked, the last one answers and
   * `report.degraded` says why. Default: `auto` where the manifest has a calibrated exit, else `off`.
   */
  exits?: 'auto' | 'off';
  /** Bearer token of the tail; a function is asked before every request. */
  token?: string | (() => string | Promise<string>);
  /**
   * Told while connecting: manifest, download and compilation of what the mode needs; and again during a run whose mode
   * or cut needs segments that are not here yet.
   */
  onProgress?: (p: ConnectProgress) => void;
  /**
   * Told when the session has gone over to another version of the model, which its tail serves by now (docs/versions.md):
   * `session.manifest` is another one, and so are labels and cuts. Not where `runtime` is given: such a session keeps its model.
   */
  onModelChange?: (manifest: Manifest, before: Manifest) => void;
  /** Ends connecting, not the session. */
  signal?: AbortSignal;
  /** For pages whose bundler cannot follow `new Worker(new URL(…))`: makes the worker from src/worker/entry. */
  worker?: () => Worker;
  /**
   * Where onnxruntime's wasm lies, for bundlers that do not follow `new URL(…, import.meta.url)`: a folder's URL, or the
   * URLs of the files.
   */
  wasmPaths?: string | { wasm?: string; mjs?: string };
  /** Replaces the platform's runtime; for hosts with their own engine. The session closes it. */
  runtime?: HeadRuntime;
}

export interface RunOptions {
  /** Milliseconds from now after which the answer is no longer wanted: `run` then rejects with DEADLINE_EXCEEDED. */
  deadlineMs?: number;
  signal?: AbortSignal;
  /** Before or after other requests that wait, here and at the tail. Default `normal`. */
  priority?: 'high' | 'normal' | 'low';
  /** Override the session's choice for this run only. */
  mode?: Mode;
  plan?: 'fixed' | 'measured';
  limits?: Limits;
  cut?: string | number;
  codec?: PresetName | CodecParams;
  /**
   * Which tails of the model shall answer (`session.manifest.tasks`; its own is `main`), all from one upload. Default: `main`.
   * Tasks run at the tail only: where everything ran here, `main` alone is answered.
   */
  tasks?: readonly string[];
  /** Overrides the session's. */
  exits?: 'auto' | 'off';
  /**
   * Told of what an early exit says that was not sure enough to end the run, while the rest of it goes on; `run` resolves with the
   * better answer. At most once per exit, and not where the first answer is the last.
   */
  onProvisional?: (result: Result) => void;
  /** Told of each task as soon as its answer is here; `run` resolves with the last. */
  onTask?: (answer: TaskAnswer) => void;
  /** Ask the tail to keep what was sent for a short time, so that `result.feature` can be asked further tasks. */
  keep?: boolean;
}

export interface Session extends AsyncDisposable {
  /** Of the version that runs use now; `report.model` says which one a run used. */
  readonly manifest: Manifest;
  readonly device: DeviceReport;
  /** The last measured plan; undefined before there was one. */
  readonly plan: PlanReport | undefined;
  /**
   * Runs one input. Any number of runs may be under way at once.
   *
   * @throws IsthmusError; the signal's reason (an AbortError by default) when `signal` fires; CLOSED after `close`.
   * @example
   * const { labels, report } = await session.run(file, { deadlineMs: 500 });
   * console.log(labels?.[0]?.label, report.ran, report.bytes.up, report.ms.total);
   */
  run(input: Input, options?: RunOptions): Promise<Result>;
  /**
   * Runs the frames of a source, several at once, and yields the answers in the order of the frames. Ending the loop ends
   * the source and what is still under way.
   *
   * @throws OPTION_INVALID, INPUT_INVALID for what is no source, what the source throws, CLOSED, the signal's reason
   * @example
   * for await (const { labels, dropped } of session.stream(video, { latestOnly: true, similarity: 0.99 })) draw(labels);
   */
  stream(source: StreamSource, options?: StreamOptions): AsyncGenerator<StreamResult, void, undefined>;
  /** Measures what other ways of sending this picture would weigh. Sends nothing. @throws INPUT_INVALID for tensors. */
  rivals(input: Input, options?: Pick<RunOptions, 'cut' | 'signal'>): Promise<Rivals>;
  /** Rejects what is still running with CLOSED and frees the device. Also called by `await using`. */
  close(): Promise<void>;
}
