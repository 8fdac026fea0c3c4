// Damage for frames and tensors, made from random numbers: blind (bits, bytes, cuts) and knowing the structure (lengths,
// dimensions, sections of another frame, with the checksum made right again, so that it reaches the codecs). Only tests and
// scripts/fuzz.ts import it; it decodes nothing.
import { IsthmusError } from '../errors.ts';
import { DTYPES } from '../tensor.ts';
import { frameChecksum } from '../wire/crc32.ts';
import { FAMILY_CODES, FRAME_KINDS } from '../wire/layout.ts';
import { readFrame } from '../wire/readFrame.ts';
import { writeFrame } from '../wire/writeFrame.ts';
import type { EncodedTensor } from './params.ts';

/** Unsigned 32 bits, as `randomBits` makes them. */
export type Random = () => number;

const BYTES = [0, 1, 2, 4, 0x0f, 0x10, 0x11, 0x1f, 0x20, 0x40, 0x7f, 0x80, 0xfe, 0xff];
const WORDS = [
  0, 1, 2, 31, 32, 33, 0x7f, 0xff, 0xffff, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0xfffffffd,
  0xffffffff,
];
const FAMILIES = Object.keys(FAMILY_CODES) as (keyof typeof FAMILY_CODES)[];
const HEADER_REACH = 140;

/** One of `choices`. */
export function pick<T>(choices: readonly T[], random: Random): T {
  return choices[(random() >>> 4) % choices.length]!;
}

/** Declares its own length and checksum, whatever else it says. */
function repair(frame: Uint8Array): void {
  if (frame.length < 32) return;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, frameChecksum(frame), true);
}

/**
 * A changed copy of a sound frame. About one in eight is damaged blindly; the others carry a right checksum.
 *
 * @param donor another sound frame, for parts in a wrong place
 */
export function mutateFrame(seed: Uint8Array, donor: Uint8Array, random: Random): Uint8Array {
  const kind = (random() >>> 4) % 8;
  if (kind < 4) {
    const bytes = mutateBytes(seed, donor, random);
    if (kind > 0) repair(bytes);
    return bytes;
  }
  const frame = readFrame(seed);
  const foreign = readFrame(donor).tensors;
  const tensors = [...frame.tensors];
  for (let n = 1 + ((random() >>> 4) % 2); n > 0; n--) {
    const i = (random() >>> 4) % Math.max(1, tensors.length);
    switch ((random() >>> 4) % 10) {
      case 0: // exchanged or doubled tensors
        if (tensors.length > 0) tensors.splice((random() >>> 4) % (tensors.length + 1), 0, tensors[i]!);
        break;
      case 1:
        if (tensors.length > 0 && foreign.length > 0) tensors[i] = pick(foreign, random);
        break;
      default:
        if (tensors.length > 0)
          tensors[i] = mutateTensor(
            tensors[i]!,
            foreign.length > 0 ? pick(foreign, random) : undefined,
            random,
          );
    }
  }
  try {
    return writeFrame({ ...frame, kind: random() % 32 ? frame.kind : pick(FRAME_KINDS, random), tensors });
  } catch (error) {
    if (error instanceof IsthmusError) return seed.slice(0, (random() >>> 4) % seed.length); // too large a header
    throw error;
  }
}

/** A copy with one to three blind changes; most fall into headers and params, where they hurt most. */
export function mutateBytes(seed: Uint8Array, donor: Uint8Array, random: Random): Uint8Array {
  let bytes = seed.slice();
  for (let n = 1 + ((random() >>> 4) % 3); n > 0 && bytes.length > 4; n--) {
    const reach = random() % 3 === 0 ? bytes.length : Math.min(bytes.length, HEADER_REACH);
    const at = (random() >>> 4) % reach;
    const word = at & ~3;
    const view = new DataView(bytes.buffer);
    const hasWord = word + 4 <= bytes.length;
    switch ((random() >>> 4) % 9) {
      case 0:
        bytes[at]! ^= 1 << (random() & 7);
        break;
      case 1:
        bytes[at] = random() >>> 8;
        break;
      case 2:
        bytes[at] = pick(BYTES, random);
        break;
      case 3:
        if (hasWord) view.setUint32(word, pick(WORDS, random), true);
        break;
      case 4:
        if (hasWord) view.setUint32(word, view.getUint32(word, true) + ((random() >>> 4) % 9) - 4, true);
        break;
      case 5:
        bytes = bytes.slice(0, at);
        break;
      case 6: // a section again, elsewhere
        bytes.copyWithin(at, (random() >>> 4) % bytes.length, (random() >>> 4) % bytes.length);
        break;
      case 7: {
        // the beginning of one frame and the end of another
        const tail = donor.subarray((random() >>> 4) % donor.length);
        const joined = new Uint8Array(at + tail.length);
        joined.set(bytes.subarray(0, at));
        joined.set(tail, at);
        bytes = joined;
        break;
      }
      default: {
        const grown = new Uint8Array(bytes.length + 4 * ((random() >>> 4) % 8));
        grown.set(bytes);
        bytes = grown;
      }
    }
  }
  return bytes;
}

/**
 * A copy with one or two changes of what a codec reads: params, payload, flags, shape, element type, family.
 *
 * @param donor gives parts of another tensor
 */
function mutateTensor(seed: EncodedTensor, donor: EncodedTensor | undefined, random: Random): EncodedTensor {
  const tensor = { ...seed, params: seed.params.slice(), payload: seed.payload.slice() };
  for (let n = 1 + ((random() >>> 4) % 2); n > 0; n--) {
    const part = tensor.payload.length > 0 && random() % 2 ? 'payload' : 'params';
    const target = tensor[part];
    const reach = random() % 2 ? target.length : Math.min(24, target.length);
    const at = (random() >>> 4) % Math.max(1, reach);
    switch ((random() >>> 4) % 16) {
      case 0:
      case 1:
      case 2:
        if (at < target.length) target[at]! ^= 1 << (random() & 7);
        break;
      case 3:
      case 4:
        if (at < target.length) target[at] = pick(BYTES, random);
        break;
      case 5:
        if (at < target.length) target[at] = random() >>> 8;
        break;
      case 6:
        if (at < target.length) target[at]! += random() % 2 ? 1 : 255;
        break;
      case 7: {
        const word = at & ~3;
        if (word + 4 <= target.length) new DataView(target.buffer).setUint32(word, pick(WORDS, random), true);
        break;
      }
      case 8:
        tensor[part] = target.slice(0, (random() >>> 4) % (target.length + 1));
        break;
      case 9:
        tensor[part] = new Uint8Array(target.length + 2);
        tensor[part].set(target);
        tensor[part].set([random() >>> 8, random() % 2 ? 0 : random() >>> 8], target.length);
        break;
      case 10: // a section again
        target.copyWithin(at, (random() >>> 4) % (target.length + 1), (random() >>> 4) % (target.length + 1));
        break;
      case 11:
        tensor.flags = (random() >>> 4) & 7;
        break;
      case 12:
        tensor.shape = mutateShape(tensor.shape, random);
        break;
      case 13:
        if (donor) tensor[part] = donor[part].slice();
        break;
      case 14:
        if (random() % 4 === 0) tensor.dtype = pick(DTYPES, random);
        else tensor.dtype = tensor.dtype === 'float16' ? 'float32' : 'float16';
        break;
      default:
        if (random() % 4 === 0) tensor.family = pick(FAMILIES, random);
        else tensor.flags ^= 1 << (random() % 3);
    }
  }
  return tensor;
}

/** Mostly one that a frame may declare; huge ones among them. */
function mutateShape(shape: readonly number[], random: Random): number[] {
  const dims = [...shape];
  const i = (random() >>> 4) % Math.max(1, dims.length);
  switch ((random() >>> 4) % 8) {
    case 0:
      return dims.reverse();
    case 1:
      return [dims.reduce((a, b) => a * b, 1) & 0x7fffffff];
    case 2:
      return dims.slice(1);
    case 3:
      return dims.length < 8 ? [1 + (random() % 3), ...dims] : dims;
    case 4:
      dims[i] = pick([0, 1, 2, 256, 4096, 2 ** 20, 2 ** 22, 2 ** 24, 0x7fffffff], random);
      return dims;
    case 5:
      dims[i] = Math.max(0, (dims[i] ?? 1) + ((random() >>> 4) % 5) - 2);
      return dims;
    default:
      return [1 + ((random() >>> 4) % 20), 1 + ((random() >>> 4) % 20), (random() >>> 4) % 6];
  }
}
