// Errors across the worker boundary. Comlink's own handler for thrown values keeps only name and message; it lets plain
// objects through untouched, so errors travel as one. Replacing Comlink's handler would change it for the host page too,
// which may use the same copy of Comlink.
import { IsthmusError } from '../errors.ts';

interface WireError {
  isthmus: 'error';
  name: string;
  /** Absent for errors that are not Isthmus' own, such as AbortError. */
  code?: string;
  message: string;
  stack?: string | undefined;
}

/** In the worker: wraps a method so that what it throws keeps its code. */
export function throwsWire<A extends unknown[], R>(
  work: (...args: A) => Promise<R>,
): (...args: A) => Promise<R> {
  return async (...args) => {
    try {
      return await work(...args);
    } catch (thrown) {
      throw toWire(thrown);
    }
  };
}

/** In the worker: an error as it can be sent. */
export function toWire(thrown: unknown): WireError {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const { name, message, stack } = error;
  return {
    isthmus: 'error',
    name,
    message,
    stack,
    ...(error instanceof IsthmusError && { code: error.code }),
  };
}

/** On the page: the error as it was; anything unknown is a defect. */
export function fromWire(thrown: unknown): unknown {
  const wire = thrown as Partial<WireError> | null;
  if (wire?.isthmus !== 'error') {
    return IsthmusError.from(thrown, 'INTERNAL', 'The worker failed in an unknown way; please report it.');
  }
  if (wire.name === 'AbortError') return new DOMException(wire.message, 'AbortError');
  const error =
    wire.code === undefined
      ? new IsthmusError('INTERNAL', `The worker failed: ${wire.name}: ${wire.message}. Please report it.`)
      : IsthmusError.fromJSON(wire);
  if (wire.stack) error.stack = wire.stack;
  return error;
}
