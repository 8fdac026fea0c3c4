// Decoding of family slicer on the GPU: checks, waypoints and tables of values on the CPU, then one dispatch that puts
// every survivor where it belongs.
import { type EncodedTensor, TENSOR_FLAGS } from '../params.ts';
import { level, readConstant } from '../reference/decodeSlicer.ts';
import { fromFixedPoint } from '../reference/float.ts';
import { toFloat16 } from '../reference/float16.ts';
import { damaged, readParams, type SlicerHeader } from '../reference/slicerLayout.ts';
import type { DecodePlan, GpuDecode } from './family.ts';
import { scanPayload } from './slicerPayload.ts';
import { slicerShader } from './slicerShaders.ts';

export const decodeSlicer: GpuDecode = (encoded, count, tuning) => {
  const { dtype, flags, params, payload } = encoded;
  const signed = (flags & TENSOR_FLAGS.SIGNED) !== 0;
  if (flags & TENSOR_FLAGS.CONST) return constant(encoded, count, readConstant(params, payload, signed));
  const [header, sections] = readParams(params, count, signed);
  if (payload.length !== 4 * sections.end) throw damaged('its payload has a wrong length');

  const words = new Uint32Array(sections.end);
  new Uint8Array(words.buffer).set(payload);
  const chunk = tuning.workgroup * 32;
  const { bases, starts } = scanPayload(words, count, header, sections, signed, chunk);
  const { survivors, blocks } = header;
  if (survivors === 0) return { regions: {}, stages: [], input: new Uint8Array(0) };

  const parts = new Parts(words);
  const about = new Uint32Array(3 * blocks.length);
  blocks.forEach((block, j) => {
    about.set([sections.codes[j]!, block.width, parts.add(valuesOf(header, j, dtype))], 3 * j);
  });
  const chunks = Math.ceil(survivors / chunk);
  const uniform = Uint32Array.of(
    count,
    0, // the decoder's
    survivors,
    sections.mode,
    sections.indexWidth,
    Math.log2(blocks.length),
    sections.ids,
    sections.signs,
    signed ? 1 : 0,
    parts.add(about),
    parts.add(bases),
    parts.add(starts),
    chunks,
  );
  const constants = { WORKGROUP: tuning.workgroup, FEATURE_FLOAT16: dtype === 'float16' ? 1 : 0 };
  const pass = { ...slicerShader('decode', tuning.scan), constants };
  const workgroups = Math.min(chunks, tuning.workgroups);
  return {
    regions: {},
    stages: [{ uniform, storage: ['feature'], dispatches: [{ pass, workgroups }] }],
    input: parts.bytes(),
  };
};

/** Patterns of the values that the codes of a block stand for. */
function valuesOf({ blocks, exponent }: SlicerHeader, j: number, dtype: EncodedTensor['dtype']): Uint32Array {
  const block = blocks[j]!;
  const values = Float32Array.from({ length: 1 << block.width }, (_, code) =>
    fromFixedPoint(level(code, block), exponent),
  );
  return dtype === 'float16' ? Uint32Array.from(toFloat16(values)) : new Uint32Array(values.buffer);
}

/** A feature whose elements are all `value`. */
export function constant({ dtype }: EncodedTensor, count: number, value: number): DecodePlan {
  const one = Float32Array.of(value);
  const all =
    dtype === 'float16'
      ? new Uint16Array(count).fill(toFloat16(one)[0]!)
      : new Float32Array(count).fill(value);
  return { regions: {}, stages: [], input: new Uint8Array(all.buffer) };
}

/** Word arrays one behind the other. */
class Parts {
  readonly #parts: Uint32Array[] = [];
  #words = 0;

  constructor(first: Uint32Array) {
    this.add(first);
  }

  /** @returns its first word */
  add(part: Uint32Array): number {
    const at = this.#words;
    this.#parts.push(part);
    this.#words += part.length;
    return at;
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint32Array(this.#words);
    let at = 0;
    for (const part of this.#parts) {
      all.set(part, at);
      at += part.length;
    }
    return new Uint8Array(all.buffer);
  }
}
