// How codec parameters are refused: one voice for all families. Shared leaf.
import { IsthmusError } from '../errors.ts';

export const bad = (what: string) =>
  new IsthmusError('CODEC_INVALID', `${what} Choose one of the presets or correct the value.`);

/** @throws IsthmusError CODEC_INVALID unless low ≤ value ≤ high */
export function inRange(name: string, value: number, low: number, high: number): number {
  if (typeof value !== 'number' || !(value >= low && value <= high))
    throw bad(`${name} must lie in ${low}…${high}, not ${value}.`);
  return value;
}
