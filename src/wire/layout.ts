// Constants and types of a frame, one for one with FORMAT.md. Shared leaf: no reading or writing here.
import type { EncodedTensor } from '../codec/params.ts';

/** 'ISTH' read as a little-endian u32. */
export const MAGIC = 0x48545349;
export const VERSION = 1;

export const FRAME_KINDS = ['request', 'reply', 'error'] as const;
export type FrameKind = (typeof FRAME_KINDS)[number];

/** Codes of tensor families on the wire. */
export const FAMILY_CODES = { raw: 0, slicer: 1, rans: 2, isthmus: 3, image: 16 } as const;

/** Position of the cut in the chain; the model's own input is not a cut but may travel all the same. */
export const INPUT_CUT = 0xffff;

/** Content type of frames over HTTP. */
export const FRAME_TYPE = 'application/vnd.isthmus.frame';
/** Content type of messages that follow one another (FORMAT.md, "Links"). */
export const MESSAGES_TYPE = 'application/vnd.isthmus.messages';

/** Meta of a frame: small JSON that any side may extend; unknown keys are ignored. */
export interface FrameMeta {
  /** reply: milliseconds per stage on the server (`decode`, `queue`, `tail`, `encode`). */
  timings?: Record<string, number>;
  /** error: what went wrong, see errors.ts. */
  error?: { code: string; message: string };
  [key: string]: unknown;
}

/** One frame: everything that crosses the link for one request or one reply. */
export interface Frame {
  kind: FrameKind;
  /** First 8 bytes of the manifest id, as 16 hex digits. */
  modelTag: string;
  /** Index into manifest.cuts, or INPUT_CUT. In a reply: the cut of the request. */
  cut: number;
  meta: FrameMeta;
  /** In the order of the cut's tensors (request) or of the model's outputs (reply). */
  tensors: EncodedTensor[];
}
