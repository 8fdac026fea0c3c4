// Downloads one file of known length: streaming, resumable by HTTP Range, never more bytes than announced. It neither
// verifies nor keeps what it got; modelStore.ts does.
import { abortError, anySignal } from '../../abort.ts';
import { IsthmusError } from '../../errors.ts';

export interface DownloadTarget {
  url: string;
  /** Length by the manifest; a server that sends more is refused before the surplus is kept. */
  bytes: number;
  token?: string | undefined;
}

export interface DownloadOptions {
  fetch: typeof fetch;
  /** Bytes that are here already, in order; a server that cannot resume makes them worthless. */
  have: Uint8Array<ArrayBuffer>[];
  /** HTTP cache mode: 'reload' for the second try after a wrong hash. */
  cache?: RequestCache;
  signal?: AbortSignal | undefined;
  onBytes?: ((loaded: number) => void) | undefined;
  /** Called after each piece with the list so far; lets the caller keep what is there. */
  onPiece?: (pieces: Uint8Array<ArrayBuffer>[]) => void;
  /** Milliseconds before the first retry, doubled each time. */
  backoffMs?: number;
}

const RETRIES = 3;
/** A connection that delivers nothing for so long counts as cut. */
const STALL_MS = 30_000;
/** A server that asks for more patience than this is asked again all the same. */
const LONGEST_WAIT_MS = 5000;
/** This much new data forgives earlier failures, so that a bad link can still finish a large file. */
const PROGRESS_BYTES = 64 * 1024;

/**
 * @returns the pieces whose lengths add up to `target.bytes`
 * @throws IsthmusError DOWNLOAD_FAILED after three retries without progress, NOT_ISTHMUS for a web page instead of a
 *   file, NOT_FOUND, INTEGRITY_MISMATCH for too many bytes; the signal's reason when it fires
 */
export async function download(
  target: DownloadTarget,
  options: DownloadOptions,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const pieces = [...options.have];
  const seen: Seen = {};
  let failures = 0;
  for (let first = true; ; first = false) {
    const before = length(pieces);
    if (before === target.bytes) return pieces;
    let reason: unknown;
    try {
      // What broke may have been the browser's own cache: the next try goes past it.
      await request(target, first ? options : { ...options, cache: 'no-store' }, pieces, seen);
      if (length(pieces) === target.bytes) return pieces;
      reason = new Error(`the connection ended after ${length(pieces)} of ${target.bytes} bytes`);
    } catch (thrown) {
      if (options.signal?.aborted) throw abortError(options.signal);
      if (thrown instanceof IsthmusError) throw thrown;
      reason = thrown;
    }
    if (length(pieces) - before >= PROGRESS_BYTES) failures = 0;
    if (failures++ === RETRIES) {
      throw IsthmusError.from(
        reason,
        'DOWNLOAD_FAILED',
        'A part of the model could not be downloaded; check the connection and load again, it goes on where it stopped',
      );
    }
    const backoff = (options.backoffMs ?? 250) * 2 ** (failures - 1) * (1 + Math.random() / 2);
    await pause(Math.max(backoff, Math.min(seen.waitMs ?? 0, LONGEST_WAIT_MS)), options.signal);
  }
}

/** What earlier answers of this download said of the file. */
interface Seen {
  /** Strong, so that a part of the same file can be told from a part of another (RFC 9110, 13.1.5). */
  etag?: string;
  /** What a server that is at its limit asks for: Retry-After, of the last answer. */
  waitMs?: number;
}

const length = (pieces: Uint8Array[]) => pieces.reduce((sum, piece) => sum + piece.byteLength, 0);

/** One request; appends to `pieces` what arrives, even when it ends early. */
async function request(
  target: DownloadTarget,
  { fetch, cache, signal, onBytes, onPiece }: DownloadOptions,
  pieces: Uint8Array<ArrayBuffer>[],
  seen: Seen,
): Promise<void> {
  const stalled = new AbortController();
  let timer = setTimeout(() => stalled.abort(stallError()), STALL_MS);
  const from = length(pieces);
  seen.waitMs = 0;
  try {
    const response = await fetch(target.url, {
      headers: {
        ...(from > 0 && { Range: `bytes=${from}-` }),
        ...(from > 0 && seen.etag && !isForeign(target.url) && { 'If-Range': seen.etag }),
        ...(target.token !== undefined && { Authorization: `Bearer ${target.token}` }),
      },
      signal: signal ? anySignal(signal, stalled.signal) : stalled.signal,
      ...(cache && { cache }),
    });
    checkAnswer(response);
    // 200 means that the whole file follows; 416 that our beginning is longer than the file there.
    if (from > 0 && !resumes(response, from)) pieces.length = 0;
    if (!response.ok || !response.body) {
      await response.body?.cancel();
      if (response.status === 416) return;
      seen.waitMs = 1000 * (Number(response.headers.get('retry-after')) || 0); // a date is no number
      throw new Error(`the server answered ${response.status}`);
    }
    const etag = response.headers.get('etag');
    if (etag?.startsWith('"')) seen.etag = etag;
    let loaded = length(pieces);
    onBytes?.(loaded);
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(stallError()), STALL_MS);
      loaded += value.byteLength;
      if (loaded > target.bytes) {
        await reader.cancel();
        pieces.length = 0;
        throw new IsthmusError(
          'INTEGRITY_MISMATCH',
          `${target.url} sends more than the ${target.bytes} bytes of the manifest. Reload; if it stays, the server's model folder must be made anew with \`isthmus split\`.`,
        );
      }
      pieces.push(value);
      onBytes?.(loaded);
      onPiece?.(pieces);
    }
  } finally {
    clearTimeout(timer);
    stalled.abort(); // nothing is left to end; anySignal lets go of the caller's signal
  }
}

/** Another origin is asked for leave to send If-Range, and a host that knows nothing of it refuses; the sha256 decides anyway. */
const isForeign = (url: string) =>
  globalThis.location !== undefined &&
  new URL(url, globalThis.location.href).origin !== globalThis.location.origin;

const stallError = () => new Error(`no data came for ${STALL_MS / 1000} s`);

function resumes(response: Response, from: number): boolean {
  if (response.status !== 206) return false;
  const range = response.headers.get('content-range'); // hidden on a cross-origin answer unless exposed
  return range === null || range.startsWith(`bytes ${from}-`);
}

/** Answers that no retry can better. */
function checkAnswer(response: Response): void {
  const { status, url } = response;
  const refuse = (code: 'NOT_ISTHMUS' | 'NOT_FOUND' | 'DOWNLOAD_FAILED', text: string) => {
    void response.body?.cancel();
    return new IsthmusError(code, text);
  };
  if (response.headers.get('content-type')?.includes('text/html')) {
    throw refuse(
      'NOT_ISTHMUS',
      `${url} answers with a web page, not with a part of a model. Check the endpoint.`,
    );
  }
  if (status === 404 || status === 410) {
    throw refuse(
      'NOT_FOUND',
      `${url} is no longer there: the model was replaced on the server. Connect again.`,
    );
  }
  if (status === 401 || status === 403) {
    throw refuse('DOWNLOAD_FAILED', `${url} refuses access (${status}). Give a valid \`token\`.`);
  }
}

function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(abortError(signal));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
  });
}
