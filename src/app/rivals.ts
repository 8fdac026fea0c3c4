// The rivals in bytes: what this run sent beside the raw feature, its gzip, and the picture as a file. All bars share
// one linear scale, so that a rival that wins is seen to win.
import type { Report, Rivals } from '../index.ts';
import { el, part } from './dom.ts';
import { bytes, ratio } from './format.ts';

const NAMES: readonly (readonly [keyof Rivals, string])[] = [
  ['rawFloat32', 'Feature, raw float32'],
  ['gzipFp16', 'Feature, float16 + gzip'],
  ['jpeg', 'Picture as JPEG, model size'],
  ['webp', 'Picture as WebP, model size'],
  ['original', 'Original file'],
];

interface Row {
  key: string;
  name: string;
  size: number | undefined;
}

/** Draws the bars; `rivals` is absent while they are measured. */
export function drawRivals(report?: Report, rivals?: Rivals): void {
  const up = report?.bytes.up;
  const first = report ? `This run, ${report.ran === 'split' ? report.preset : report.ran}` : 'This run';
  const rows: Row[] = [{ key: 'up', name: first, size: up }];
  for (const [key, name] of NAMES) {
    if (!rivals || rivals[key] !== undefined) rows.push({ key, name, size: rivals?.[key] });
  }
  const longest = Math.max(1, ...rows.map((r) => r.size ?? 0));
  part('rivals', HTMLElement).replaceChildren(...rows.map((r) => drawRow(r, longest, up ?? 0)));
  const figure = part('bytes-up', HTMLElement);
  figure.textContent = up === undefined ? '\u00a0' : bytes(up);
  if (up !== undefined) figure.dataset.bytes = String(up);
  const note = part('rivals-note', HTMLElement);
  if (report && rivals) note.textContent = verdict(report, rivals);
  else if (report) note.textContent = 'Weighing the other ways to send the same thing.';
}

/** Says plainly who is smaller. */
export function verdict({ ran, bytes: { up } }: Pick<Report, 'ran' | 'bytes'>, rivals: Rivals): string {
  if (up === 0) return 'Nothing crossed. Other ways would have sent this much.';
  const raw = rivals.rawFloat32 / up;
  const start = raw >= 1.05 ? `${times(raw)} less than the raw feature` : 'No less than the raw feature';
  if (ran === 'remote') return `${start}: the picture itself crossed.`;
  const jpeg = rivals.jpeg / up;
  if (jpeg > 1.05) return `${start}, and ${times(jpeg)} less than the picture as JPEG.`;
  if (jpeg < 0.95) return `${start}. The picture as JPEG would be ${times(1 / jpeg)} smaller than this.`;
  return `${start}, about as much as the picture as JPEG.`;
}

const times = (n: number) => ratio(n, 1).replace('×', ' times');

export function rivalsFailed(reason: string): void {
  part('rivals-note', HTMLElement).textContent = `The other ways could not be weighed: ${reason}`;
}

function drawRow({ key, name, size }: Row, longest: number, up: number): HTMLElement {
  const mine = key === 'up';
  const bar = el('i', { width: `${((size ?? 0) / longest) * 100}%` });
  if (!size) bar.style.minWidth = '0';
  return el(
    'div',
    {
      class: `bar-row${mine ? ' mine' : ''}${size === undefined ? ' waiting' : ''}`,
      'data-rival': key,
      'data-bytes': size,
    },
    el('span', {}, name),
    el('span', {}, size === undefined ? '–' : bytes(size)),
    el('span', {}, mine || size === undefined ? '' : ratio(size, up)),
    el('span', { class: 'track' }, bar),
  );
}
