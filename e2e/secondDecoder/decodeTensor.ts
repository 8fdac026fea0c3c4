// A tensor's elements from its record, by family; the entry to the second decoder after `frame.ts` or `token.ts`.
import { packFloats } from './elements.ts';
import { dequantise, invertBlocks, invertChannels, toFloats } from './isthmusInverse.ts';
import { type Profiles, readIsthmusParams } from './isthmusParams.ts';
import { readCoefficients } from './isthmusSymbols.ts';
import { decodeConst, decodeImage, decodeRaw, demandQuantisable } from './plainFamilies.ts';
import { decodeRans } from './rans.ts';
import { readLanes } from './ransStream.ts';
import { Refused } from './refuse.ts';
import { decodeSlicer } from './slicer.ts';
import { CONST, type TensorRecord } from './tensorRecord.ts';

/** The elements, row-major and little-endian; for an image its file. */
export function decodeTensor(tensor: TensorRecord, profiles: Profiles = new Map()): Uint8Array {
  switch (tensor.family) {
    case 'raw':
      return decodeRaw(tensor);
    case 'image':
      return decodeImage(tensor);
    case 'slicer':
      return decodeSlicer(tensor);
    case 'rans':
      return decodeRans(tensor);
    case 'isthmus':
      return decodeIsthmus(tensor, profiles);
    default:
      throw new Refused(`family ${tensor.family}`);
  }
}

function decodeIsthmus(tensor: TensorRecord, profiles: Profiles): Uint8Array {
  const T = demandQuantisable(tensor);
  if (tensor.flags & CONST) return decodeConst(tensor, T);
  const isthmus = readIsthmusParams(tensor, profiles);
  const coefficients = readCoefficients(readLanes(tensor.payload, isthmus.lanes), isthmus);
  dequantise(coefficients, isthmus);
  invertBlocks(coefficients, isthmus);
  return packFloats(toFloats(invertChannels(coefficients, isthmus), isthmus), tensor.type);
}
