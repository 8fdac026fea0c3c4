// The answer card: label and scores, where it ran, what left the device, the stage bar. Shows one Result, or the
// quiet state before there is one; rows are always there, so nothing jumps.
import type { Report, Result, Session } from '../index.ts';
import { el, part } from './dom.ts';
import { bytes, ms, percent } from './format.ts';
import { drawBar, drawLegend } from './stages.ts';

const ROWS = 5;

/** The quiet state, before the first answer and after a failure. */
export function drawNoAnswer(why: string): void {
  part('answer', HTMLElement).classList.add('idle');
  text('answer-label', why);
  for (const id of ['answer-score', 'ran', 'total']) text(id, '');
  part('degraded', HTMLElement).hidden = true;
  const bar = part('stage-bar', HTMLElement);
  bar.replaceChildren();
  bar.setAttribute('aria-label', why);
  part('scores', HTMLElement).replaceChildren(...Array.from({ length: ROWS }, () => scoreRow('', 0, '')));
  drawLegend(part('legend', HTMLElement));
}

/** Greys the old answer while a new one is computed. */
export function markStale(stale: boolean): void {
  part('answer', HTMLElement).classList.toggle('stale', stale);
}

export function drawAnswer(result: Result, manifest: Session['manifest']): void {
  const { labels, outputs, report } = result;
  const best = labels?.[0];
  part('answer', HTMLElement).classList.remove('idle');
  text('answer-label', best ? readable(best.label) : 'The model answered');
  text('answer-score', best ? percent(best.score) : '');
  const rows = labels
    ? labels.slice(0, ROWS).map((l) => scoreRow(readable(l.label), l.score, percent(l.score)))
    : Object.entries(outputs)
        .slice(0, ROWS)
        .map(([name, t]) => scoreRow(name, 0, `[${t.shape.join('×')}]`));
  while (rows.length < ROWS) rows.push(scoreRow('', 0, ''));
  part('scores', HTMLElement).replaceChildren(...rows);
  text('ran', report.ran);
  text('total', ms(report.ms.total));
  drawBar(part('stage-bar', HTMLElement), report.ms);
  drawLegend(part('legend', HTMLElement), report.ms);
  text('leaves', whatLeft(report, manifest));
  const degraded = part('degraded', HTMLElement);
  degraded.hidden = report.degraded === undefined;
  degraded.textContent = report.degraded
    ? `Another way than the wanted one was taken. ${report.degraded}`
    : '';
  const words = best ? `${readable(best.label)}, ${percent(best.score)}` : 'The model answered';
  text(
    'answer-live',
    `${words}. Ran ${report.ran} in ${ms(report.ms.total)}, ${bytes(report.bytes.up)} sent.`,
  );
}

/** What crossed, in one plain sentence. It promises nothing about what a feature gives away. */
export function whatLeft(
  report: Pick<Report, 'ran' | 'cut' | 'preset' | 'bytes' | 'transport'>,
  manifest: Session['manifest'],
): string {
  if (report.ran === 'local') return 'nothing. The whole model ran here.';
  if (report.ran === 'remote')
    return `the picture, ${cropWords(manifest)}, as ${bytes(report.bytes.up)}${by(report)}.`;
  const raw = report.bytes.raw === undefined ? '' : ` (${bytes(report.bytes.raw)} as float32)`;
  return `the feature at ${report.cut}${raw}, as a ${report.preset} frame of ${bytes(report.bytes.up)}${by(report)}. The photo itself stayed.`;
}

const WAYS = { fetch: 'HTTP', websocket: 'WebSocket', webtransport: 'WebTransport' } as const;
const by = ({ transport }: Pick<Report, 'transport'>) => (transport ? ` over ${WAYS[transport]}` : '');

/** What may cross under a mode, said before anything ran. */
export function whatWouldLeave(mode: string): string {
  const feature = 'the feature at the cut, compressed';
  const picture = 'the picture, cropped to what the model sees';
  switch (mode) {
    case 'only-local':
      return 'nothing.';
    case 'only-remote':
      return `${picture}.`;
    case 'only-split':
      return `${feature}; the photo itself stays.`;
    case 'prefer-local':
      return `nothing, unless the model cannot run here; then ${feature}, or ${picture}.`;
    case 'prefer-remote':
      return `${picture}; if that fails, ${feature}, or nothing.`;
    default:
      return `${feature}. If the split fails here, the whole model runs on this device, or ${picture}, is uploaded.`;
  }
}

function cropWords({ preprocess }: Session['manifest']): string {
  return preprocess ? `cropped and scaled to ${preprocess.crop.join('×')}` : 'as it is';
}

function scoreRow(name: string, score: number, value: string): HTMLElement {
  const bar = el('i', { width: `${score * 100}%` });
  if (score === 0) bar.style.minWidth = '0';
  return el(
    'li',
    {},
    el('span', { title: name }, name),
    el('span', { class: 'track' }, bar),
    el('span', {}, value),
  );
}

/** `n03445777 golf ball, golfball` and `golf_ball` become `golf ball`. */
export function readable(label: string): string {
  const plain = label
    .replace(/^n\d{8}\s+/, '')
    .split(',')[0]!
    .replaceAll('_', ' ')
    .trim();
  return plain || label;
}

function text(id: string, value: string): void {
  part(id, HTMLElement).textContent = value;
}
