// The last runs, for the eye to compare. Kept in the page only: nothing of a photo is stored.
import type { Result } from '../index.ts';
import { readable } from './answer.ts';
import { el, part } from './dom.ts';
import { bytes, ms, percent } from './format.ts';
import type { Photo } from './photo.ts';

const KEPT = 8;
const runs: { photo: Photo; result: Result }[] = [];

/** Frees a photo that is not on the table; its object URL would keep the whole file in memory. */
export function release(photo: Photo): void {
  if (!runs.some((r) => r.photo.url === photo.url)) URL.revokeObjectURL(photo.url);
}

export function remember(photo: Photo, result: Result): void {
  runs.unshift({ photo, result });
  for (const { photo: old } of runs.splice(KEPT)) release(old);
  const head = ['Photo', 'Answer', 'Ran', 'Time', 'Sent'];
  part('history', HTMLElement).replaceChildren(
    el(
      'table',
      {},
      el(
        'thead',
        {},
        el(
          'tr',
          {},
          ...head.map((h, i) => el('th', { scope: 'col', class: i > 2 ? 'number' : undefined }, h)),
        ),
      ),
      el('tbody', {}, ...runs.map(row)),
    ),
  );
}

function row({ photo, result: { labels, report } }: (typeof runs)[number]): HTMLElement {
  const best = labels?.[0];
  const how = [report.ran, report.cut, report.preset].filter(Boolean).join(', ');
  return el(
    'tr',
    {},
    el('td', {}, el('img', { src: photo.url, alt: photo.name })),
    el(
      'td',
      {},
      best ? `${readable(best.label)} ` : 'answered',
      el('span', { class: 'wide' }, best ? percent(best.score) : ''),
    ),
    el('td', {}, report.ran, el('span', { class: 'wide' }, how.slice(report.ran.length))),
    el('td', { class: 'number' }, ms(report.ms.total)),
    el('td', { class: 'number' }, bytes(report.bytes.up)),
  );
}
