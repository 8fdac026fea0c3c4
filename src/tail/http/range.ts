// HTTP ranges (RFC 9110, section 14) for resumable downloads: one range of bytes; anything fancier is answered whole.

export interface ByteRange {
  /** First and last byte, both inclusive. */
  start: number;
  end: number;
}

/**
 * @returns the range to send; 'whole' when the header is absent, malformed, in another unit or a list (a server may
 *   ignore those); 'unsatisfiable' when it lies behind the end.
 * @example parseRange('bytes=100-', 250) // { start: 100, end: 249 }
 */
export function parseRange(header: string | undefined, size: number): ByteRange | 'whole' | 'unsatisfiable' {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return 'whole';
  if (match[1] === '') {
    const last = Number(match[2]);
    if (last === 0) return 'unsatisfiable';
    return { start: Math.max(0, size - last), end: size - 1 };
  }
  const start = Number(match[1]);
  const end = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== '' && Number(match[2]) < start) return 'whole';
  return start >= size ? 'unsatisfiable' : { start, end };
}
