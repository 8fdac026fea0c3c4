// What a frame says of one tensor: the words shared by the frame reader, the token reader and the families.
import type { ElementType } from './elements.ts';

export const CONST = 1;
export const SANITISED = 2;
export const SIGNED = 4;

/** Families by their code. */
export const FAMILIES: Record<number, string> = {
  0: 'raw',
  1: 'slicer',
  2: 'rans',
  3: 'isthmus',
  16: 'image',
};

/** One tensor as it travels, checked as far as the frame goes; its family has not looked at it yet. */
export interface TensorRecord {
  readonly family: string;
  readonly type: ElementType;
  readonly flags: number;
  readonly shape: readonly number[];
  readonly params: Uint8Array;
  readonly payload: Uint8Array;
}

/** Number of elements; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, d) => product * d, 1);
}
