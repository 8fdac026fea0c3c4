// Codes of ours as statuses of gRPC, for the tail that answers it.
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import type { IsthmusError } from '../../errors.ts';

/** By HTTP status, https://grpc.io/docs/guides/status-codes/. */
const STATUS: Record<number, status> = {
  401: status.UNAUTHENTICATED,
  403: status.PERMISSION_DENIED,
  404: status.NOT_FOUND,
  409: status.FAILED_PRECONDITION,
  429: status.RESOURCE_EXHAUSTED,
  500: status.INTERNAL,
  501: status.UNIMPLEMENTED,
  503: status.UNAVAILABLE,
  504: status.DEADLINE_EXCEEDED,
};

/** Details travel in a header field, which has a bound. */
const LONGEST_DETAILS = 2000;

/** The error as gRPC sends it; with the code and seconds to wait beside it. */
export function grpcError(error: IsthmusError): Partial<ServiceError> {
  const metadata = new Metadata();
  metadata.set('isthmus-error', error.code);
  if (error.retryAfter !== undefined) metadata.set('retry-after', String(Math.ceil(error.retryAfter)));
  const code =
    error.code === 'CUT_INVALID' ? status.NOT_FOUND : (STATUS[error.status] ?? status.INVALID_ARGUMENT);
  return { code, details: error.message.slice(0, LONGEST_DETAILS), metadata };
}

/** What ends a stream on which nothing happens. */
export const IDLE: Partial<ServiceError> = {
  code: status.DEADLINE_EXCEEDED,
  details: 'Nothing happened on this stream for a while. Open another when there is a request.',
};

/** What a call that its client gave up is answered with; nobody reads it. */
export const CANCELLED: Partial<ServiceError> = { code: status.CANCELLED, details: 'The client has gone.' };
