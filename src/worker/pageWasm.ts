// onnxruntime's WebAssembly as a worker of this page compiled it (keptWasm.ts), for every worker after it: the one that takes its place,
// that of the model's next version, and another session's. Whoever computes holds it; a page without sessions gives its memory back.
import type { StartOptions } from './api.ts';

type Paths = StartOptions['wasmPaths'];

const compiled = new Map<string, WeakRef<WebAssembly.Module>>();
/** Other files may be another onnxruntime. */
const keyOf = (paths: Paths) => JSON.stringify(paths ?? '');

export function offerWasm(paths: Paths, module: WebAssembly.Module): void {
  compiled.set(keyOf(paths), new WeakRef(module));
}

/** @returns undefined where none was compiled, or nobody holds it any more */
export function wasmFor(paths: Paths): WebAssembly.Module | undefined {
  return compiled.get(keyOf(paths))?.deref();
}
