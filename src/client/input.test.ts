// Inputs in Node, where none of the DOM's classes exist; the browser's own kinds are in input.gpu.test.ts.
import { expect, test } from 'vitest';
import { prepareInput } from './input.ts';
import type { Input } from './types.ts';

const x = { dtype: 'float32' as const, shape: [1, 3, 2, 2], data: new Float32Array(12) };
const code = (input: unknown) =>
  prepareInput(input as Input).then(
    () => 'accepted',
    (e) => `${e.code}: ${e.message}`,
  );

test('encoded pictures as bytes, Buffer, Blob and File', async () => {
  const bytes = Uint8Array.of(1, 2, 3);
  for (const input of [bytes, Buffer.from(bytes), new Blob([bytes]), new File([bytes], 'a.jpg')]) {
    const { input: prepared, fileBytes } = await prepareInput(input);
    expect(prepared.kind).toBe('file');
    expect([...(prepared as { bytes: Uint8Array }).bytes]).toEqual([1, 2, 3]);
    expect(fileBytes).toBe(3);
  }
});

test('pixels, and what looks like ImageData, arrive plain', async () => {
  const pixels = { width: 2, height: 1, data: new Uint8ClampedArray(8) };
  expect((await prepareInput(pixels)).input).toEqual({ kind: 'pixels', pixels });
  const imageData = Object.create(
    { [Symbol.toStringTag]: 'ImageData' },
    {
      width: { value: 2 },
      height: { value: 1 },
      data: { value: pixels.data },
    },
  );
  const { input } = await prepareInput(imageData);
  expect(input).toEqual({ kind: 'pixels', pixels });
  expect(Object.getPrototypeOf((input as { pixels: object }).pixels)).toBe(Object.prototype);
});

test('tensors that fit are passed on untouched', async () => {
  const { input } = await prepareInput({ x });
  expect(input).toEqual({ kind: 'tensors', tensors: { x } });
});

test('tensors arrive plain, and one whose data do not fill its shape is named', async () => {
  const { input } = await prepareInput({ x: { ...x, dispose() {} } } as Input);
  expect(structuredClone(input)).toEqual({ kind: 'tensors', tensors: { x } });
  const gone = new Float32Array(12);
  structuredClone(gone, { transfer: [gone.buffer] });
  expect(await code({ x: { ...x, data: gone } })).toMatch(/^INPUT_INVALID: 'x' has 0 elements.*12/);
  expect(await code({ x: { ...x, shape: [1.5] } })).toMatch(/^INPUT_INVALID/);
});

test('pictures that are empty, too many bytes or too many pixels', async () => {
  expect(await code(new Uint8Array(0))).toMatch(/^IMAGE_INVALID.*empty/);
  expect(await code(new Uint8Array(50 * 2 ** 20 + 1))).toMatch(/^IMAGE_TOO_LARGE.*50\.0 MiB/);
  let read = false;
  const huge = Object.assign(new Blob(['x']), {
    arrayBuffer: async () => {
      read = true;
      return new ArrayBuffer(0);
    },
  });
  Object.defineProperty(huge, 'size', { value: 2 ** 33 });
  expect(await code(huge)).toMatch(/^IMAGE_TOO_LARGE.*8192\.0 MiB/);
  expect(read).toBe(false);
  expect(await code({ width: 20000, height: 20000, data: new Uint8Array(4) })).toMatch(/^IMAGE_TOO_LARGE/);
  const unreadable = Object.assign(new Blob(['x']), {
    arrayBuffer: () => Promise.reject(new DOMException('gone', 'NotReadableError')),
  });
  expect(await code(unreadable)).toMatch(/^IMAGE_INVALID.*pick it again/);
});

test('everything else is named and told what is accepted', async () => {
  for (const [input, name] of [
    [undefined, 'undefined'],
    [null, 'null'],
    ['photo.jpg', 'string'],
    [42, 'number'],
    [[1, 2], 'Array'],
    [new Map(), 'Map'],
    [new Float32Array(4), 'Float32Array'],
    [{}, 'none'],
    [{ photo: 'x' }, 'photo'],
    [{ x: { ...x, data: undefined } }, 'keys x'],
    [{ x: { ...x, data: [1, 2] } }, 'keys x'],
    [{ x: { ...x, shape: '1,3' } }, 'keys x'],
  ] as const) {
    const message = await code(input);
    expect(message).toMatch(/^INPUT_INVALID.*Give a Blob or File/);
    expect(message).toContain(name);
  }
  expect(await code({ width: 2, height: 2, data: new Uint8Array(15) })).toMatch(
    /^INPUT_INVALID.*2×2 with 15 bytes/,
  );
  expect(await code({ width: 2.5, height: 2, data: new Uint8Array(20) })).toMatch(/^INPUT_INVALID/);
  expect(await code({ width: 2, height: 2, data: new Float32Array(16) })).toMatch(
    /^INPUT_INVALID.*other data/,
  );
});
