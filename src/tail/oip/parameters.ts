// Parameters of a request in the Open Inference Protocol: sequences, priority, timeout, binary outputs. The same for JSON
// and protobuf; unknown ones are ignored as the protocol says, names that Triton keeps to itself are refused.
import { IsthmusError } from '../../errors.ts';
import type { Asked } from '../infer/service.ts';
import type { Sequence } from '../run/backend.ts';

export type ParameterValue = string | number | boolean | bigint;

export interface RequestParameters {
  /** Milliseconds since the epoch. */
  deadline?: number;
  /** 0 to 7, RFC 9218. */
  urgency?: number;
  sequence?: Sequence;
  /** Outputs are wanted as binary data unless they say otherwise themselves. */
  binaryOutputs: boolean;
  /** The caller wants `triton_final_response` on its answer. */
  finalResponse: boolean;
}

/** What Triton's own clients send though its prefix is reserved: a marker on the last answer of a stream. */
const EMPTY_FINAL = 'triton_enable_empty_final_response';

/** @throws IsthmusError REQUEST_INVALID */
export function readParameters(given: Readonly<Record<string, ParameterValue>>): RequestParameters {
  const reserved = Object.keys(given).find((key) => key.startsWith('triton_') && key !== EMPTY_FINAL);
  if (reserved !== undefined)
    throw invalid(`'${reserved.slice(0, 64)}': keys that start with triton_ are reserved`);
  const sequence = readSequence(given);
  const timeout = number(given, 'timeout');
  const priority = number(given, 'priority');
  return {
    binaryOutputs: flag(given, 'binary_data_output'),
    finalResponse: flag(given, EMPTY_FINAL),
    ...(sequence && { sequence }),
    // Microseconds; 0 stands for no limit.
    ...(timeout > 0 && { deadline: Date.now() + timeout / 1000 }),
    // 1 is the highest of them, 0 stands for the server's own choice.
    ...(priority > 0 && { urgency: Math.min(7, priority) }),
  };
}

/** What the transport said of a request and what its parameters say, together; the earlier deadline holds. */
export function withParameters(
  asked: Asked,
  { deadline = Number.POSITIVE_INFINITY, urgency, sequence }: RequestParameters,
): Asked {
  const earliest = Math.min(deadline, asked.deadline ?? Number.POSITIVE_INFINITY);
  return {
    ...asked,
    ...(Number.isFinite(earliest) && { deadline: earliest }),
    ...(urgency !== undefined && { urgency }),
    ...(sequence && { sequence }),
  };
}

function readSequence(given: Readonly<Record<string, ParameterValue>>): Sequence | undefined {
  const value = given.sequence_id;
  const [start, end] = [flag(given, 'sequence_start'), flag(given, 'sequence_end')];
  const none = value === undefined || value === '' || String(value) === '0';
  if (none && (start || end)) throw invalid('sequence_start and sequence_end need a sequence_id');
  if (none) return undefined;
  const id = String(value);
  const valid = typeof value === 'string' ? /^[\x21-\x7e]{1,128}$/.test(id) : /^\d{1,20}$/.test(id);
  if (!valid)
    throw invalid(
      'sequence_id must be a whole number above 0, or a text of at most 128 printable characters',
    );
  return { id, start, end };
}

function flag(given: Readonly<Record<string, ParameterValue>>, key: string): boolean {
  const value = given[key];
  if (value === undefined || typeof value === 'boolean') return value ?? false;
  throw invalid(`${key} must be true or false`);
}

function number(given: Readonly<Record<string, ParameterValue>>, key: string): number {
  const value = Number(given[key] ?? 0);
  if (Number.isSafeInteger(value) && value >= 0 && typeof given[key] !== 'boolean') return value;
  throw invalid(`${key} must be a whole number of 0 or more`);
}

function invalid(reason: string): IsthmusError {
  return new IsthmusError('REQUEST_INVALID', `The request's parameters are wrong: ${reason}.`);
}
