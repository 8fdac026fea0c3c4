// onnxruntime-web's global settings, and its failures in words that help. Imported inside the worker only.
import * as ort from 'onnxruntime-web/webgpu';
import { IsthmusError } from '../errors.ts';

export interface OrtOptions {
  /** Where onnxruntime's .wasm (and .mjs) lie, for hosts whose bundler does not bring them along. */
  wasmPaths?: string | { wasm?: string; mjs?: string };
}

/** Threads of the wasm backend: they need cross-origin isolation, and more than four rarely help. */
export function wasmThreads(): number {
  if (!globalThis.crossOriginIsolated) return 1;
  return Math.max(1, Math.min(4, Math.floor((navigator.hardwareConcurrency || 2) / 2)));
}

/**
 * Must run before the first session. By default onnxruntime finds its wasm through `new URL(…, import.meta.url)`, which
 * Vite, webpack, Rspack and Parcel understand; `wasmPaths` is for the rest.
 */
export function configureOrt({ wasmPaths }: OrtOptions = {}): void {
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = wasmThreads();
  ort.env.wasm.proxy = false; // this is a worker already
  if (wasmPaths !== undefined) ort.env.wasm.wasmPaths = wasmPaths;
}

/** What onnxruntime says when …, what is wrong, what to do. The first match counts. */
const CAUSES: [RegExp, string][] = [
  [
    /content security policy|unsafe-eval/i,
    "the page's Content-Security-Policy forbids WebAssembly. Add 'wasm-unsafe-eval' to its script-src",
  ],
  [
    /expected magic word|text\/html|MIME type/i,
    'a web page was served instead of the .wasm file. Serve ort-wasm-simd-threaded.asyncify.wasm beside the worker or set `wasmPaths`',
  ],
  [
    /sync fetching of the wasm failed|failed to fetch|dynamically imported module|404|NetworkError|initializeWebAssembly|invalid URL/i,
    'its .wasm file could not be loaded. Serve ort-wasm-simd-threaded.asyncify.wasm beside the worker or set `wasmPaths`',
  ],
  [
    /out of memory|bad_alloc|allocat(e|ion)|enlarge memory|memory access out of bounds/i,
    'the memory is exhausted. Choose an earlier cut or close other pages',
  ],
  [
    /could not find an implementation|not[ _]implemented|unsupported|not supported|registered function|kernel/i,
    "an operator is not supported on this device. Choose `device: 'wasm'` or an earlier cut",
  ],
];

/** @param doing what was tried, for the first half of the sentence */
export function inferenceError(thrown: unknown, doing: string): IsthmusError {
  if (thrown instanceof IsthmusError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const advice =
    CAUSES.find(([pattern]) => pattern.test(text))?.[1] ?? "Choose another cut or `device: 'wasm'`";
  const short = text.length > 300 ? `${text.slice(0, 300)}…` : text;
  return new IsthmusError('INFERENCE_FAILED', `${doing} failed: ${advice}. The runtime said: ${short}`, {
    cause: thrown,
  });
}
