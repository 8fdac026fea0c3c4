// A frame's header, records and payloads, in the order of FORMAT.md "Reading". Payloads stay as they came;
// `decodeTensor.ts` turns them into elements.
import { Bytes } from './bytes.ts';
import { crc32 } from './crc32.ts';
import { ELEMENT_SIZE, ELEMENT_TYPES } from './elements.ts';
import { readMeta } from './meta.ts';
import { demand } from './refuse.ts';
import { CONST, elementCount, FAMILIES, SANITISED, SIGNED, type TensorRecord } from './tensorRecord.ts';

const MEBI_64 = 64 * 2 ** 20;

export interface Frame {
  readonly kind: 'request' | 'reply' | 'error';
  readonly checksum: number;
  readonly modelTag: Uint8Array;
  readonly cut: number;
  readonly meta: Record<string, unknown>;
  readonly tensors: readonly TensorRecord[];
}

/** Reads the one frame that `bytes` are. `limit` bounds L. */
export function readFrame(bytes: Uint8Array, limit = 2 ** 32): Frame {
  demand(bytes.length >= 32 && String.fromCharCode(...bytes.subarray(0, 4)) === 'ISTH', 'no frame');
  demand(bytes[4] === 1, `version ${bytes[4]}`);
  const header = new Bytes(bytes);
  header.take(5, 'magic and version');
  const kind = header.uint(1, 'kind');
  const H = header.uint(2, 'H');
  const L = header.uint(4, 'L');
  demand(L <= limit, 'too large');
  demand(L === bytes.length, 'cut short or run on');
  const checksum = header.uint(4, 'checksum');
  demand(crc32(bytes.subarray(0, 12), bytes.subarray(16)) === checksum, 'damaged');
  const modelTag = header.take(8, 'model tag');
  const cut = header.uint(2, 'cut');
  const N = header.uint(1, 'N');
  demand(kind <= 2, 'kind');
  demand(H >= 32 && H % 4 === 0 && H <= L, 'H');
  demand(N <= 64, 'N too large');
  demand(header.uint(1, 'reserved byte') === 0, 'reserved byte');
  const J = header.uint(4, 'J');

  const records = new Bytes(bytes.subarray(0, H));
  const payloads = new Bytes(bytes);
  records.at = 32;
  payloads.at = H;
  const tensors: TensorRecord[] = [];
  let declared = 0;
  for (let i = 0; i < N; i++) {
    const tensor = readRecord(records, payloads);
    declared += elementCount(tensor.shape) * countedSize(tensor.family, tensor.type);
    demand(declared <= MEBI_64, 'the tensors are too large together');
    tensors.push(tensor);
  }
  const metaBytes = records.take(J, 'meta');
  records.zerosToFour('meta padding');
  demand(records.left === 0, 'records and meta do not fill H');
  demand(payloads.left === 0, 'payloads do not fill L');
  const names = ['request', 'reply', 'error'] as const;
  return { kind: names[kind]!, checksum, modelTag, cut, meta: readMeta(metaBytes), tensors };
}

function readRecord(records: Bytes, payloads: Bytes): TensorRecord {
  const family = FAMILIES[records.uint(1, 'record')];
  const type = ELEMENT_TYPES[records.uint(1, 'record')];
  const rank = records.uint(1, 'record');
  const flags = records.uint(1, 'record');
  const P = records.uint(4, 'record');
  const Q = records.uint(4, 'record');
  demand(family !== undefined, 'family');
  demand(type !== undefined, 'element type');
  demand(rank <= 8, 'rank too large');
  demand((flags & ~(CONST | SANITISED | SIGNED)) === 0, 'flags');
  const shape = Array.from({ length: rank }, () => records.uint(4, 'dimensions'));
  demand(
    shape.every((d) => d < 2 ** 31),
    'dimension too large',
  );
  // A product that overflows is far above the limit unless a dimension is 0, and then it is exactly 0.
  demand(shape.includes(0) || elementCount(shape) * countedSize(family, type) <= MEBI_64, 'tensor too large');
  const params = records.take(P, 'params');
  records.zerosToFour('params padding');
  const payload = payloads.take(Q, 'payload');
  payloads.zerosToFour('payload padding');
  return { family, type, flags, shape, params, payload };
}

/** float16 of a family that quantises counts as 4. */
function countedSize(family: string, type: TensorRecord['type']): number {
  const quantises = family !== 'raw' && family !== 'image';
  return type === 'float16' && quantises ? 4 : ELEMENT_SIZE[type];
}
