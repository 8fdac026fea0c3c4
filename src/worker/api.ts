// What the page may ask of the worker: HeadRuntime without its getter, every answer free of functions so that it crosses
// by structured clone. Types, and the shape in which errors cross; no behaviour of its own.
import type { BrowserRuntimeOptions } from '../head/browserRuntime.ts';
import type {
  DeviceReport,
  EarlyResult,
  HeadResult,
  HeadRuntime,
  LoadOptions,
  Progress,
} from '../head/runtime.ts';

export interface StartOptions extends Pick<BrowserRuntimeOptions, 'device' | 'wasmPaths'> {
  /** onnxruntime's, as an earlier worker compiled it. */
  wasm?: WebAssembly.Module;
}

/** What a worker tells unasked. */
export type News =
  /** A device was lost and another one is being made; without `why` it is ready. */
  { about: 'device'; why?: unknown; device: DeviceReport } | { about: 'wasm'; module: WebAssembly.Module };

/** Answers carry the device report, because a load may choose another device and a run may lose one; and bytes of memory held. */
export type WithDevice<T> = { value: T; device: DeviceReport; memory: number };

export interface WorkerApi {
  /**
   * Must be the first call. `lock` is the name of a Web Lock that the worker holds for as long as it lives; the answer
   * says whether it does, because browsers deny locks where site data are blocked.
   */
  hello(lock: string): Promise<boolean>;
  /** The second. */
  start(options: StartOptions, tell: (news: News) => void): Promise<WithDevice<void>>;
  load(options: LoadOptions, last: number, onProgress?: (p: Progress) => void): Promise<WithDevice<void>>;
  head(...args: Parameters<HeadRuntime['head']>): Promise<WithDevice<HeadResult>>;
  early(...args: Parameters<NonNullable<HeadRuntime['early']>>): Promise<WithDevice<EarlyResult>>;
  local(
    ...args: Parameters<HeadRuntime['local']>
  ): Promise<WithDevice<Awaited<ReturnType<HeadRuntime['local']>>>>;
  remote(...args: Parameters<HeadRuntime['remote']>): Promise<WithDevice<HeadResult>>;
  formats(): Promise<WithDevice<Awaited<ReturnType<NonNullable<HeadRuntime['formats']>>>>>;
  gzipFp16Bytes(...args: Parameters<HeadRuntime['gzipFp16Bytes']>): Promise<WithDevice<number>>;
  close(): Promise<void>;
}
