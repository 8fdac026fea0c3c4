import { describe, expect, it } from 'vitest';
import { readOnnx, writeOnnx } from './onnx.ts';
import { model, node, tinyNet, value } from './testGraphs.fixture.ts';

const text = (s: string) => new TextEncoder().encode(s);
const raw = (s: string) => Uint8Array.from(s, (c) => c.charCodeAt(0));

describe('readOnnx', () => {
  it('reads a model and writes the same bytes again', () => {
    const bytes = tinyNet();
    expect(writeOnnx(readOnnx(bytes))).toEqual(bytes);
  });

  it.each([
    ['nothing', new Uint8Array(0), /is empty/],
    ['a PNG', raw('\x89PNG\r\n\x1a\n\0\0\0\rIHDR'), /PNG picture/],
    ['a JPEG', raw('\xff\xd8\xff\xe0\0\x10JFIF'), /JPEG picture/],
    ['an HTML page', text('\n<!DOCTYPE html><title>404</title>'), /web page/],
    ['a Git LFS pointer', text('version https://git-lfs.github.com/spec/v1\noid sha256:00'), /git lfs pull/],
    ['a PyTorch checkpoint', raw('PK\x03\x04\0\0'), /ZIP archive/],
    ['a gzip file', raw('\x1f\x8b\x08\0'), /gzip/],
    ['an ORT file', raw('\x18\0\0\0ORTM'), /ORT format/],
    ['a TFLite file', raw('\x1c\0\0\0TFL3'), /TensorFlow Lite/],
    ['prose', text('This is a text, not a network.'), /no ONNX model/],
    ['zeros', new Uint8Array(64), /no ONNX model/],
    ['a protobuf of unknown fields only', Uint8Array.of(0xf8, 0x06, 0x01), /no graph/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readOnnx(bytes)).toThrow(expect.objectContaining({ code: 'MODEL_INVALID' }));
    expect(() => readOnnx(bytes)).toThrow(message);
  });

  it('refuses every truncation of a model', () => {
    const bytes = tinyNet();
    for (let length = 0; length < bytes.length; length++) {
      expect(() => readOnnx(bytes.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'MODEL_INVALID' }),
      );
    }
  });

  it.each([8, 22, 0])('refuses opset %i by number', (opset) => {
    expect(() => readOnnx(tinyNet({ opset }))).toThrow(
      expect.objectContaining({
        code: 'MODEL_UNSUPPORTED',
        message: expect.stringContaining(`opset ${opset};`),
      }),
    );
  });

  it('takes opsets 9 and 21, and the long name of the default domain', () => {
    expect(() => readOnnx(tinyNet({ opset: 9 }))).not.toThrow();
    expect(() => readOnnx(tinyNet({ opset: 21 }))).not.toThrow();
    const parts = { nodes: [node('Relu', 'x', 'y')], inputs: [value('x', [1])], outputs: [value('y')] };
    const long = model(parts, { change: (m) => (m.opsetImport[0]!.domain = 'ai.onnx') });
    expect(() => readOnnx(long)).not.toThrow();
    const other = model(parts, { change: (m) => (m.opsetImport[0]!.domain = 'com.acme') });
    expect(() => readOnnx(other)).toThrow(expect.objectContaining({ code: 'MODEL_UNSUPPORTED' }));
  });
});
