// onnxruntime's WebAssembly, compiled once per page: a worker gives the module it compiled to the page (pageWasm.ts), and those after
// it start from that, code that was made on the way included. Compiling anew took 1 to 2 s. onnxruntime takes bytes only, so this
// worker's own WebAssembly functions are wrapped; the page's are left alone.
import * as ort from 'onnxruntime-web/webgpu';
import { countMemory } from '../head/memoryUse.ts';

/** The least that begins like WebAssembly; it only says that nothing need be fetched. */
const STAND_IN = [0, 97, 115, 109, 1, 0, 0, 0];

/** Below that it is no onnxruntime: the codec has small modules of its own. */
const LEAST_EXPORTS = 20;

/** Before the first session. @param module from an earlier worker @param onCompiled told of this worker's own */
export function keepWasm(
  module: WebAssembly.Module | undefined,
  onCompiled: (module: WebAssembly.Module) => void,
): void {
  const { instantiate, instantiateStreaming } = WebAssembly;
  if (module) {
    ort.env.wasm.wasmBinary = new Uint8Array(STAND_IN).buffer;
    WebAssembly.instantiate = (async (source: BufferSource | WebAssembly.Module, imports) => {
      if (source instanceof WebAssembly.Module || source.byteLength !== STAND_IN.length)
        return instantiate(source as BufferSource, imports);
      const instance = await instantiate(module, imports);
      countMemory(instance, imports);
      return { module, instance };
    }) as typeof instantiate;
    return;
  }
  if (!instantiateStreaming) return;
  WebAssembly.instantiateStreaming = async (source, imports) => {
    const made = await instantiateStreaming(source, imports);
    if (WebAssembly.Module.exports(made.module).length < LEAST_EXPORTS) return made;
    countMemory(made.instance, imports);
    onCompiled(made.module);
    return made;
  };
}
