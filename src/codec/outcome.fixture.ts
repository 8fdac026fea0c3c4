// What became of a call that may be refused: its value, or the code of its IsthmusError. Anything else that is thrown goes on.
// Only tests and scripts/fuzz.ts import it.
import { type ErrorCode, IsthmusError } from '../errors.ts';

export interface Outcome<T> {
  code: ErrorCode | 'accepted';
  /** Only where it was accepted. */
  value?: T;
}

export function outcomeOf<T>(action: () => T): Outcome<T> {
  try {
    return { code: 'accepted', value: action() };
  } catch (error) {
    if (error instanceof IsthmusError) return { code: error.code };
    throw error;
  }
}

export const codeOf = (action: () => unknown) => outcomeOf(action).code;
