// The body of a token frame (FORMAT.md, "Token frames"): what remains of its tensors once the context has said family,
// element type and shape. It compresses nothing and reads no payload.
import { type EncodedTensor, TENSOR_FLAGS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { bytesPerElement, elementCount } from '../tensor.ts';
import type { TokenContent } from './tokenFrame.ts';

/** A tensor of the opening frame: what every token's tensor at this place looks like. */
export type Template = Omit<EncodedTensor, 'payload'>;

const KNOWN_FLAGS = TENSOR_FLAGS.CONST | TENSOR_FLAGS.SANITISED | TENSOR_FLAGS.SIGNED;
const FLAG_BITS = 3;
const MAX_PARAMS = 0xffff >> FLAG_BITS;

/**
 * @param tensors one for each template, in order
 * @throws IsthmusError INPUT_INVALID (another number, family, element type or shape), TOO_LARGE (params above 8191 bytes)
 */
export function writeTokenBody(
  templates: readonly Template[],
  tensors: readonly EncodedTensor[],
): TokenContent {
  if (tensors.length !== templates.length)
    throw mismatch(`${tensors.length} tensors, but the context has ${templates.length}`);
  const same = tensors.every((t, i) => sameParams(templates[i]!, t));
  const last = lastVariable(templates);
  const parts: Uint8Array[] = [];
  for (const [i, t] of tensors.entries()) {
    const template = templates[i]!;
    if (t.family !== template.family || t.dtype !== template.dtype || `${t.shape}` !== `${template.shape}`)
      throw mismatch(`${spell(t)}, but tensor ${i} of the context is ${spell(template)}`);
    if (!same && isVariable(template)) parts.push(paramsHead(t), t.params);
    if (isVariable(template) && i !== last) parts.push(leb128(t.payload.length));
    parts.push(t.payload);
  }
  const body = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return { same, body };
}

/**
 * @returns the tensors; `payload` and, unless they are the context's, `params` share memory with the body
 * @throws IsthmusError FRAME_INVALID
 */
export function readTokenBody(templates: readonly Template[], { same, body }: TokenContent): EncodedTensor[] {
  const last = lastVariable(templates);
  if (!same && last < 0) throw invalid('it says it carries params, but its tensors have none');
  const fixed = templates.map((t) => (isVariable(t) ? 0 : rawBytes(t)));
  let at = 0;
  const take = (count: number) => {
    if (count > body.length - at) throw invalid('a tensor reaches beyond its end');
    at += count;
    return body.subarray(at - count, at);
  };
  const tensors = templates.map((template, i): EncodedTensor => {
    if (!isVariable(template)) return { ...template, payload: take(fixed[i]!) };
    let { flags, params } = template;
    if (!same) {
      const [low, high] = take(2) as unknown as [number, number];
      const head = low | (high << 8);
      flags = head & KNOWN_FLAGS;
      params = take(head >> FLAG_BITS);
    }
    if (i !== last) return { ...template, flags, params, payload: take(readLeb128(take)) };
    const after = fixed.slice(i + 1).reduce((sum, n) => sum + n, 0);
    return { ...template, flags, params, payload: take(Math.max(0, body.length - at - after)) };
  });
  if (at !== body.length) throw invalid('its tensors do not fill it');
  return tensors;
}

/** Whether the length of the payload, flags and params may vary from token to token. */
const isVariable = ({ family }: Template) => family !== 'raw';
const rawBytes = ({ dtype, shape }: Template) => elementCount(shape) * bytesPerElement(dtype);
const lastVariable = (templates: readonly Template[]) => templates.findLastIndex(isVariable);
const spell = ({ family, dtype, shape }: Template) => `${family} ${dtype} [${shape}]`;

function sameParams(a: Template, b: Template): boolean {
  return (
    a.flags === b.flags && a.params.length === b.params.length && a.params.every((x, i) => x === b.params[i])
  );
}

function paramsHead({ flags, params }: EncodedTensor): Uint8Array {
  if (params.length > MAX_PARAMS) {
    throw new IsthmusError(
      'TOO_LARGE',
      `A tensor has ${params.length} bytes of params; a token frame holds ${MAX_PARAMS}. Send it in an ordinary frame.`,
    );
  }
  const head = flags | (params.length << FLAG_BITS);
  return Uint8Array.of(head & 0xff, head >> 8);
}

/** 7 bits a byte, lowest first, top bit set where another follows. */
function leb128(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push(128 | (rest & 127));
  return Uint8Array.of(...bytes, rest);
}

/** At most three bytes, none of them needless. */
function readLeb128(take: (count: number) => Uint8Array): number {
  let value = 0;
  for (let shift = 0; shift < 21; shift += 7) {
    const byte = take(1)[0]!;
    value |= (byte & 127) << shift;
    if (byte < 128) {
      if (byte === 0 && shift > 0) break;
      return value;
    }
  }
  throw invalid('the length of a payload is written wrongly');
}

function mismatch(what: string): IsthmusError {
  return new IsthmusError('INPUT_INVALID', `A token has ${what}. Open another context for other tensors.`);
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError(
    'FRAME_INVALID',
    `This token frame cannot be read: ${reason}. Send tokens to the context they were made for.`,
  );
}
