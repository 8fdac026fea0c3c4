// The one error type of Isthmus. Codes are a closed list; every message says what went wrong and what to do
// next; `cause` keeps the original. HTTP statuses live here too, so both ends map a code the same way.

const HTTP_STATUS = {
  /** The bytes are no ONNX model, or a damaged one. */
  MODEL_INVALID: 400,
  /** A valid model that Isthmus cannot cut (operator, opset, control flow, sequence tensors). */
  MODEL_UNSUPPORTED: 422,
  /** Shapes or element types at a cut cannot be inferred. */
  SHAPE_UNKNOWN: 422,
  /** A cut was named that the model does not have, or the named tensors do not part it. */
  CUT_INVALID: 400,
  /** The manifest does not follow its schema, or its id does not match its content. */
  MANIFEST_INVALID: 422,
  /** Downloaded bytes do not have the sha256 the manifest promises. */
  INTEGRITY_MISMATCH: 422,
  /** A download ended early and could not be resumed. */
  DOWNLOAD_FAILED: 502,
  /** No model of that name at this endpoint. */
  MODEL_NOT_FOUND: 404,
  /** A route or artifact that does not exist. */
  NOT_FOUND: 404,
  /** The feature that a `featureId` names is not kept any more; send it again. */
  FEATURE_GONE: 410,
  /** No token or ticket came, or not a valid one. */
  UNAUTHENTICATED: 401,
  /** The token is valid but does not allow this, or the origin is not on the list. */
  FORBIDDEN: 403,
  /** This client asks for more than its share; the message says when to come back. */
  RATE_LIMITED: 429,
  /** Frame and endpoint disagree about the model (both ids are in the message). */
  MODEL_MISMATCH: 409,
  /** The endpoint answered, but it is not an Isthmus tail. */
  NOT_ISTHMUS: 502,
  /** The picture cannot be decoded. */
  IMAGE_INVALID: 400,
  /** The picture has too many bytes or pixels. */
  IMAGE_TOO_LARGE: 413,
  /** Wrong number, name, shape or element type of input tensors. */
  INPUT_INVALID: 400,
  /** A frame that breaks FORMAT.md. */
  FRAME_INVALID: 400,
  /** A frame whose checksum does not match: damaged on the way. */
  FRAME_CORRUPT: 400,
  /** A frame of a version this build cannot read. */
  FRAME_VERSION: 400,
  /** A body or a declared tensor above the limit. */
  TOO_LARGE: 413,
  /** Codec parameters outside their range, or a family this build does not have. */
  CODEC_INVALID: 400,
  /** NaN or infinity in a feature under `strict`. */
  FEATURE_NOT_FINITE: 422,
  /** WebGPU is absent or refused a device, and it was forced. */
  WEBGPU_UNAVAILABLE: 500,
  /** The GPU device was lost while it was needed. */
  DEVICE_LOST: 500,
  /** onnxruntime failed to load or to run a segment. */
  INFERENCE_FAILED: 500,
  /** The worker died or could not be started. */
  WORKER_FAILED: 500,
  /** The tail could not be reached. */
  OFFLINE: 503,
  /** The tail is at its limit; try again later. */
  OVERLOADED: 503,
  /** The deadline passed before an answer came. */
  DEADLINE_EXCEEDED: 504,
  /** The session or server is closed, or closing. */
  CLOSED: 503,
  /** An option of the API or the command line is wrong. */
  OPTION_INVALID: 400,
  /** The request is malformed (method, headers, content type). */
  REQUEST_INVALID: 400,
  /** A feature of a protocol that this build does not have. */
  NOT_SUPPORTED: 501,
  /** The engine has forgotten a sequence, or cannot be reached any more; begin it anew. */
  SEQUENCE_LOST: 409,
  /** A defect of Isthmus itself. */
  INTERNAL: 500,
} as const;

export type ErrorCode = keyof typeof HTTP_STATUS;

/** What an error looks like in JSON: HTTP bodies, `--json`, worker messages. */
export interface ErrorJSON {
  code: ErrorCode;
  message: string;
}

/**
 * Every failure that Isthmus reports.
 *
 * @example
 * try { await session.run(photo) } catch (e) { if (e instanceof IsthmusError && e.code === 'OFFLINE') … }
 */
export class IsthmusError extends Error {
  override readonly name = 'IsthmusError';
  readonly code: ErrorCode;
  /** Seconds after which the same request may succeed, where that is known. */
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown; retryAfter?: number }) {
    super(message, options);
    this.code = code;
    this.retryAfter = options?.retryAfter;
  }

  /** HTTP status for this code. */
  get status(): number {
    return HTTP_STATUS[this.code];
  }

  toJSON(): ErrorJSON {
    return { code: this.code, message: this.message };
  }

  /** Rebuilds an error that crossed a wire or a worker boundary; unknown codes become INTERNAL. */
  static fromJSON(json: unknown): IsthmusError {
    const { code, message } = (json ?? {}) as Partial<ErrorJSON>;
    const known = typeof code === 'string' && Object.hasOwn(HTTP_STATUS, code);
    return new IsthmusError(known ? code : 'INTERNAL', String(message ?? 'The other side gave no reason.'));
  }

  /** Wraps anything thrown: an IsthmusError passes through, the rest becomes `code` with its cause kept. */
  static from(thrown: unknown, code: ErrorCode, message: string): IsthmusError {
    if (thrown instanceof IsthmusError) return thrown;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    return new IsthmusError(code, `${message} (${reason})`, { cause: thrown });
  }
}
