// Reads a frame from bytes that nobody vouches for. Every length is checked before it is used, in the order that
// FORMAT.md gives ("Reading"); params and payloads are views, so nothing but the meta is copied. It decodes no tensor.
import { countedBytes, type EncodedTensor, LIMITS, TENSOR_FLAGS } from '../codec/params.ts';
import { IsthmusError } from '../errors.ts';
import { DTYPES } from '../tensor.ts';
import { frameChecksum } from './crc32.ts';
import { jsonDepth, MAX_JSON_DEPTH } from './jsonDepth.ts';
import { FAMILY_CODES, FRAME_KINDS, type Frame, type FrameMeta, MAGIC, VERSION } from './layout.ts';

/** What a reader is willing to accept. */
export interface ReadLimits {
  /** Largest frame in bytes; default: the largest tensor that may be declared, plus a header. */
  frameBytes?: number;
  /** Largest sum of declared tensor bytes; default 64 MiB. */
  outputBytes?: number;
}

const FIXED_BYTES = 32;
const RECORD_BYTES = 12;
const KNOWN_FLAGS = TENSOR_FLAGS.CONST | TENSOR_FLAGS.SANITISED | TENSOR_FLAGS.SIGNED;
const FAMILIES = new Map<number, keyof typeof FAMILY_CODES>(
  Object.entries(FAMILY_CODES).map(([name, code]) => [code, name as keyof typeof FAMILY_CODES]),
);
const pad4 = (n: number) => Math.ceil(n / 4) * 4; // not (n + 3) & ~3: lengths go up to 2^32 - 1

/**
 * @returns the frame; `params` and `payload` of its tensors share memory with `bytes`
 * @throws IsthmusError FRAME_INVALID (not a frame, or cut short), FRAME_VERSION, FRAME_CORRUPT (checksum),
 *   TOO_LARGE (above a limit), INPUT_INVALID (not given as a Uint8Array)
 */
export function readFrame(bytes: Uint8Array, limits: ReadLimits = {}): Frame {
  const { frameBytes = LIMITS.outputBytes + LIMITS.headerBytes, outputBytes = LIMITS.outputBytes } = limits;
  if (bytes?.[Symbol.toStringTag] !== 'Uint8Array') {
    throw new IsthmusError(
      'INPUT_INVALID',
      'A frame is read from a Uint8Array. Wrap an ArrayBuffer: new Uint8Array(buffer).',
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < FIXED_BYTES) throw invalid(`${bytes.length} bytes are less than a header`);
  if (view.getUint32(0, true) !== MAGIC) throw invalid('it does not begin with ISTH');
  if (bytes[4] !== VERSION) {
    throw new IsthmusError(
      'FRAME_VERSION',
      `The frame has version ${bytes[4]}; this build reads version ${VERSION}. Update the older side.`,
    );
  }
  const length = view.getUint32(8, true);
  if (length > frameBytes)
    throw tooLarge(`The frame says it has ${length} bytes; the limit is ${frameBytes}`);
  if (length !== bytes.length) throw invalid(`it says it has ${length} bytes but ${bytes.length} came`);
  if (view.getUint32(12, true) !== frameChecksum(bytes)) {
    throw new IsthmusError(
      'FRAME_CORRUPT',
      'The checksum does not match: damaged on the way. Send it again.',
    );
  }

  const kind = FRAME_KINDS[bytes[5]!];
  if (!kind) throw invalid(`kind ${bytes[5]} is unknown`);
  const header = view.getUint16(6, true);
  const count = bytes[26]!;
  const metaBytes = view.getUint32(28, true);
  if (header < FIXED_BYTES || header % 4 || header > length)
    throw invalid(`header length ${header} is wrong`);
  if (count > LIMITS.tensors)
    throw tooLarge(`The frame has ${count} tensors; the limit is ${LIMITS.tensors}`);
  if (bytes[27] !== 0) throw invalid('a reserved byte is set');

  const cursor: Cursor = { bytes, view, at: FIXED_BYTES, header, payloadAt: header, outputLeft: outputBytes };
  const tensors: EncodedTensor[] = [];
  for (let i = 0; i < count; i++) tensors.push(readRecord(cursor));
  if (cursor.at + pad4(metaBytes) !== header) throw invalid('its records and meta do not fill the header');
  if (cursor.payloadAt !== length) throw invalid('its payloads do not fill the frame');
  requireZeros(bytes, cursor.at + metaBytes, header);
  return {
    kind,
    modelTag: Array.from(bytes.subarray(16, 24), (b) => b.toString(16).padStart(2, '0')).join(''),
    cut: view.getUint16(24, true),
    meta: readMeta(viewOf(bytes, cursor.at, metaBytes)),
    tensors,
  };
}

interface Cursor {
  bytes: Uint8Array;
  view: DataView;
  /** Where the next record begins. */
  at: number;
  header: number;
  /** Where the next payload begins. */
  payloadAt: number;
  /** Bytes that further tensors may still declare. */
  outputLeft: number;
}

function readRecord(c: Cursor): EncodedTensor {
  const { bytes, view, header } = c;
  if (c.at + RECORD_BYTES > header) throw invalid('a tensor record does not fit into the header');
  const family = FAMILIES.get(bytes[c.at]!);
  const dtype = DTYPES[bytes[c.at + 1]!];
  const rank = bytes[c.at + 2]!;
  const flags = bytes[c.at + 3]!;
  const paramsBytes = view.getUint32(c.at + 4, true);
  const payloadBytes = view.getUint32(c.at + 8, true);
  if (!family) throw invalid(`codec family ${bytes[c.at]} is unknown`);
  if (!dtype) throw invalid(`element type ${bytes[c.at + 1]} is unknown`);
  if (rank > LIMITS.rank) throw tooLarge(`A tensor has ${rank} dimensions; the limit is ${LIMITS.rank}`);
  if (flags & ~KNOWN_FLAGS) throw invalid(`flags ${flags} are unknown`);

  const dimsAt = c.at + RECORD_BYTES;
  const paramsAt = dimsAt + 4 * rank;
  const end = paramsAt + pad4(paramsBytes);
  if (end > header) throw invalid('a tensor record does not fit into the header');
  const shape: number[] = [];
  let declared = countedBytes(family, dtype); // at most 8 · 2^(31·8), which a double holds
  for (let at = dimsAt; at < paramsAt; at += 4) {
    const dim = view.getUint32(at, true);
    if (dim > LIMITS.dimension) throw tooLarge(`A dimension is ${dim}; the limit is ${LIMITS.dimension}`);
    shape.push(dim);
    declared *= dim;
  }
  if (declared > c.outputLeft) throw tooLarge(`Tensors of more than ${c.outputLeft} bytes are declared`);
  c.outputLeft -= declared;
  if (c.payloadAt + pad4(payloadBytes) > bytes.length) throw invalid('a payload reaches beyond the frame');

  const params = viewOf(bytes, paramsAt, paramsBytes);
  const payload = viewOf(bytes, c.payloadAt, payloadBytes);
  requireZeros(bytes, paramsAt + paramsBytes, end);
  c.at = end;
  c.payloadAt += pad4(payloadBytes);
  requireZeros(bytes, c.payloadAt - pad4(payloadBytes) + payloadBytes, c.payloadAt);
  return { family, dtype, shape, flags, params, payload };
}

/** A plain Uint8Array even when `bytes` is a Node Buffer. */
function viewOf(bytes: Uint8Array, at: number, length: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + at, length);
}

function requireZeros(bytes: Uint8Array, from: number, to: number): void {
  for (let i = from; i < to; i++) if (bytes[i] !== 0) throw invalid('its padding is not zero');
}

function readMeta(utf8: Uint8Array): FrameMeta {
  if (utf8.length === 0) return {};
  if (jsonDepth(utf8) > MAX_JSON_DEPTH) throw invalid('its meta is nested too deeply');
  let meta: unknown;
  try {
    meta = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(utf8));
  } catch (cause) {
    throw new IsthmusError('FRAME_INVALID', 'The meta of the frame is no JSON. Send a valid frame.', {
      cause,
    });
  }
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta))
    throw invalid('its meta is no JSON object');
  return meta as FrameMeta;
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError(
    'FRAME_INVALID',
    `This is not a valid frame: ${reason}. Send a whole, unaltered frame.`,
  );
}

function tooLarge(what: string): IsthmusError {
  return new IsthmusError('TOO_LARGE', `${what}. Send less at once or raise the limit of the reader.`);
}
