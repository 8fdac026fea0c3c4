// Writes a frame (FORMAT.md, "Frame") into one new array. It copies payloads as they are and compresses nothing.
import { type EncodedTensor, LIMITS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { DTYPES } from '../tensor.ts';
import { frameChecksum } from './crc32.ts';
import { jsonDepth, MAX_JSON_DEPTH } from './jsonDepth.ts';
import { FAMILY_CODES, FRAME_KINDS, type Frame, MAGIC, VERSION } from './layout.ts';

const RECORD_BYTES = 12;
const pad4 = (n: number) => (n + 3) & ~3;

/**
 * @returns the whole frame, checksum included, ready to send
 * @throws IsthmusError FRAME_INVALID or TOO_LARGE when the frame could not be read back
 */
export function writeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  const meta = encodeMeta(frame);
  checkFrame(frame);
  let header = 32 + pad4(meta.length);
  let payloads = 0;
  for (const t of frame.tensors) {
    header += RECORD_BYTES + 4 * t.shape.length + pad4(t.params.length);
    payloads += pad4(t.payload.length);
  }
  if (header > 0xffff || header + payloads > 0xffffffff) {
    throw new IsthmusError(
      'TOO_LARGE',
      `A frame with ${header} header bytes and ${payloads} payload bytes cannot be written. Send less meta or fewer tensors.`,
    );
  }

  const bytes = new Uint8Array(header + payloads);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC, true);
  bytes[4] = VERSION;
  bytes[5] = FRAME_KINDS.indexOf(frame.kind);
  view.setUint16(6, header, true);
  view.setUint32(8, bytes.length, true);
  for (let i = 0; i < 8; i++) bytes[16 + i] = Number.parseInt(frame.modelTag.slice(2 * i, 2 * i + 2), 16);
  view.setUint16(24, frame.cut, true);
  bytes[26] = frame.tensors.length;
  view.setUint32(28, meta.length, true);

  let at = 32;
  for (const t of frame.tensors) at = writeRecord(bytes, view, at, t);
  bytes.set(meta, at);
  at = header;
  for (const t of frame.tensors) {
    bytes.set(t.payload, at);
    at += pad4(t.payload.length);
  }
  view.setUint32(12, frameChecksum(bytes), true);
  return bytes;
}

function writeRecord(bytes: Uint8Array, view: DataView, at: number, t: EncodedTensor): number {
  bytes[at] = FAMILY_CODES[t.family];
  bytes[at + 1] = DTYPES.indexOf(t.dtype);
  bytes[at + 2] = t.shape.length;
  bytes[at + 3] = t.flags;
  view.setUint32(at + 4, t.params.length, true);
  view.setUint32(at + 8, t.payload.length, true);
  let next = at + RECORD_BYTES;
  for (const dim of t.shape) {
    view.setUint32(next, dim, true);
    next += 4;
  }
  bytes.set(t.params, next);
  return next + pad4(t.params.length);
}

function encodeMeta(frame: Frame): Uint8Array {
  if (typeof frame.meta !== 'object' || frame.meta === null || Array.isArray(frame.meta))
    throw invalid('its meta is no object');
  if (Object.keys(frame.meta).length === 0) return new Uint8Array(0);
  const meta = new TextEncoder().encode(metaText(frame.meta));
  if (jsonDepth(meta) > MAX_JSON_DEPTH) throw invalid('its meta is nested too deeply');
  return meta;
}

function metaText(meta: Frame['meta']): string {
  try {
    return JSON.stringify(meta);
  } catch (cause) {
    throw IsthmusError.from(cause, 'FRAME_INVALID', 'The meta of the frame is no JSON. Correct that field.');
  }
}

function checkFrame({ kind, modelTag, cut, tensors }: Frame): void {
  if (!FRAME_KINDS.includes(kind)) throw invalid(`there is no kind '${kind}'`);
  if (!/^[0-9a-f]{16}$/.test(modelTag)) throw invalid(`'${modelTag}' is no model tag of 16 hex digits`);
  if (!Number.isInteger(cut) || cut < 0 || cut > 0xffff) throw invalid(`${cut} is no cut index`);
  if (tensors.length > LIMITS.tensors) throw invalid(`it has more than ${LIMITS.tensors} tensors`);
  for (const { family, dtype, shape } of tensors) {
    if (!Object.hasOwn(FAMILY_CODES, family)) throw invalid(`there is no codec family '${family}'`);
    if (!DTYPES.includes(dtype)) throw invalid(`there is no element type '${dtype}'`);
    if (shape.length > LIMITS.rank) throw invalid(`a tensor has more than ${LIMITS.rank} dimensions`);
    for (const dim of shape) {
      if (!Number.isInteger(dim) || dim < 0 || dim > LIMITS.dimension)
        throw invalid(`the shape [${shape}] has a dimension outside 0…2^31-1`);
    }
  }
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError('FRAME_INVALID', `The frame cannot be written: ${reason}. Correct that field.`);
}
