// Loads the codec's WebAssembly module, once, where WebAssembly with SIMD is there and allowed; elsewhere callers go on in
// TypeScript. Knows nothing of codecs; memory is laid out in arena.ts.
import { WASM_MODULE } from './module.ts';

/** A function of the module. Arguments are addresses in its memory, and numbers; see wasm/*.ts for each. */
type Kernel = (...addressesAndNumbers: number[]) => number;

type KernelName =
  | 'countBytes'
  | 'csrCount'
  | 'csrPlace'
  | 'csrSymbols'
  | 'extent'
  | 'isthmusBlockColumns'
  | 'isthmusBlockRows'
  | 'isthmusCentre'
  | 'isthmusChannels'
  | 'isthmusDecode'
  | 'isthmusDecodeTables'
  | 'isthmusDequantise'
  | 'isthmusEncode'
  | 'isthmusNumbers'
  | 'isthmusQuantise'
  | 'isthmusToFixed'
  | 'isthmusToFloat'
  | 'ransDecode'
  | 'ransDecodeTable'
  | 'ransEncode'
  | 'ransEncodeTable'
  | 'ransQuantise'
  | 'slicerAnySign'
  | 'slicerBehindTie'
  | 'slicerClassify'
  | 'slicerDrop'
  | 'slicerKeys'
  | 'slicerMerge'
  | 'slicerOnes'
  | 'slicerPackBits'
  | 'slicerPackPlaces'
  | 'slicerPackSigns'
  | 'slicerPlaceBitmap'
  | 'slicerPlaceList'
  | 'slicerSelect'
  | 'slicerUnpackBits';

/** The exports of the module. */
export type Kernels = Readonly<Record<KernelName, Kernel>> & {
  memory: WebAssembly.Memory;
  /** First address that may be used. */
  heap: WebAssembly.Global;
};

/** `undefined`: not tried yet. `null`: cannot be had here. */
let module: WebAssembly.Module | null | undefined;
let instance: Kernels | undefined;

/**
 * The kernels, compiled here and now if need be; `undefined` where WebAssembly, its SIMD instructions, or compiling them
 * at once (some browsers' main threads, some content security policies) is not to be had.
 */
export function wasmKernels(): Kernels | undefined {
  if (instance || module === null) return instance;
  try {
    module ??= new WebAssembly.Module(moduleBytes());
    instance = new WebAssembly.Instance(module).exports as unknown as Kernels;
  } catch {
    module = null;
  }
  return instance;
}

/**
 * Compiles the kernels without blocking, for places that do not let {@link wasmKernels} do so. Call it once at the start;
 * the codec works, more slowly, without it.
 * @returns whether the kernels are there now
 */
export async function loadWasmCodec(): Promise<boolean> {
  if (instance) return true;
  try {
    module ??= await WebAssembly.compile(moduleBytes());
    instance ??= (await WebAssembly.instantiate(module)).exports as unknown as Kernels;
  } catch {
    module = null;
  }
  return instance !== undefined;
}

/** Forgets the instance, and with it its memory, which cannot shrink; the next call makes a new one. */
export function dropKernels(): void {
  instance = undefined;
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(WASM_MODULE), (c) => c.charCodeAt(0));
}
