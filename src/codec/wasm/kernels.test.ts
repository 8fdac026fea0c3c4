// Loading: once and at once where that is allowed, later where only that is, never where WebAssembly is missing; and memory
// that does not stay large.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { PRESETS, planSlicer } from '../params.ts';
import { VECTORS } from '../reference/vectors.ts';
import { withArena } from './arena.ts';
import { wasmKernels } from './kernels.ts';

beforeEach(() => vi.resetModules());
afterEach(() => vi.unstubAllGlobals());

const { Module } = WebAssembly;
const refuse = () => {
  throw new WebAssembly.CompileError('refused by a content security policy');
};
const vector = VECTORS.find((v) => v.name === 'T = 1025')!;

test('the module needs nothing from outside and stays small', async () => {
  const { WASM_MODULE } = await import('./module.ts');
  const bytes = Buffer.from(WASM_MODULE, 'base64');
  expect(Module.imports(new Module(bytes))).toEqual([]);
  expect(bytes.length).toBeLessThan(32 * 1024);
});

test('without WebAssembly there are no kernels, and the codecs say so', async () => {
  vi.stubGlobal('WebAssembly', undefined);
  const { wasmKernels, loadWasmCodec } = await import('./kernels.ts');
  const { encodeSlicer } = await import('./encodeSlicer.ts');
  expect(wasmKernels()).toBeUndefined();
  expect(await loadWasmCodec()).toBe(false);
  expect(encodeSlicer(vector.data(), vector.shape, vector.plan)).toBeUndefined();
});

test('where compiling at once is refused, loadWasmCodec brings the kernels', async () => {
  vi.stubGlobal('WebAssembly', { ...namespace(), Module: refuse });
  const { wasmKernels, loadWasmCodec } = await import('./kernels.ts');
  const { encodeSlicer } = await import('./encodeSlicer.ts');
  expect(encodeSlicer(vector.data(), vector.shape, vector.plan)).toBeUndefined();
  expect(await loadWasmCodec()).toBe(true);
  expect(wasmKernels()).toBeDefined();
  expect(encodeSlicer(vector.data(), vector.shape, vector.plan)).toBeDefined();
});

test('where compiling is refused altogether, loadWasmCodec says so', async () => {
  vi.stubGlobal('WebAssembly', { ...namespace(), Module: refuse, compile: async () => refuse() });
  const { wasmKernels, loadWasmCodec } = await import('./kernels.ts');
  expect(await loadWasmCodec()).toBe(false);
  expect(wasmKernels()).toBeUndefined();
});

test('memory that cannot be had is no error, and large memory does not stay', async () => {
  const { encodeSlicer } = await import('./encodeSlicer.ts');
  const kernels = wasmKernels();
  expect(encodeSlicer(vector.data(), vector.shape, vector.plan)).toBeDefined();
  expect(wasmKernels()).toBe(kernels);
  expect(
    withArena((arena) => {
      arena.take(2 ** 33);
      arena.grow();
      return 'grown';
    }),
  ).toBeUndefined();
  expect(wasmKernels()).not.toBe(kernels);

  const before = wasmKernels();
  const grown = withArena((arena) => {
    arena.take(2 ** 27);
    arena.grow();
    return arena.kernels.memory.buffer.byteLength;
  });
  expect(grown).toBeGreaterThan(2 ** 27);
  expect(wasmKernels()).not.toBe(before);
});

test('views are good after memory has grown', () => {
  const seen = withArena((arena) => {
    const first = arena.take(64);
    arena.grow();
    arena.words(first, 2).set([1, 2]);
    arena.take(2 ** 22);
    arena.grow();
    return [...arena.words(first, 2)];
  });
  expect(seen).toEqual([1, 2]);
});

test('arrays that begin anywhere in their buffer', async () => {
  const { encodeSlicer } = await import('./encodeSlicer.ts');
  const { decodeSlicer } = await import('./decodeSlicer.ts');
  const plan = planSlicer(PRESETS.slicer);
  const data = vector.data();
  const within = new Float32Array(data.length + 3).subarray(3);
  within.set(data);
  const encoded = encodeSlicer(data, [data.length], plan)!;
  expect(encodeSlicer(within, [data.length], plan)).toEqual(encoded);
  const odd = (bytes: Uint8Array) => {
    const copy = new Uint8Array(bytes.length + 1).subarray(1);
    copy.set(bytes);
    return copy;
  };
  const moved = { ...encoded, params: odd(encoded.params), payload: odd(encoded.payload) };
  expect(decodeSlicer(moved, data.length)).toEqual(decodeSlicer(encoded, data.length));
});

/** WebAssembly's own properties are not enumerable. */
function namespace(): Record<string, unknown> {
  return Object.fromEntries(
    Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)]),
  );
}
