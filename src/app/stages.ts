// The stages of a run as a stacked bar and a legend. Colour tells where the time went: ochre on this device, magenta
// on the link, blue on the server. It shows what the report says and adds only the remainder up to the wall clock.
import type { Timings } from '../index.ts';
import { el } from './dom.ts';
import { ms } from './format.ts';

export type Stage = Exclude<keyof Timings, 'total'>;

const GROUPS: readonly { name: string; stages: readonly Stage[] }[] = [
  { name: 'This device', stages: ['preprocess', 'head', 'encode'] },
  { name: 'Link', stages: ['uplink', 'downlink'] },
  { name: 'Server', stages: ['queue', 'decode', 'tail'] },
];
/** In the order they happen. */
const STAGES: readonly Stage[] = [
  'preprocess',
  'head',
  'encode',
  'uplink',
  'queue',
  'decode',
  'tail',
  'downlink',
];

/** Wall clock that no stage accounts for: decoding the picture, messages between threads. */
export function betweenStages(timings: Timings): number {
  const sum = STAGES.reduce((total, stage) => total + (timings[stage] ?? 0), 0);
  return Math.max(0, timings.total - sum);
}

/**
 * The pieces of a bar, in order; `scale` is the milliseconds that fill it (default: this run's own total).
 * Shares sum to 1 unless the scale is larger.
 */
export function shares(
  timings: Timings,
  scale = 0,
): { stage: Stage | 'between'; ms: number; share: number }[] {
  const named = STAGES.map((stage) => ({ stage, ms: timings[stage] ?? 0 }));
  const all = [...named, { stage: 'between' as const, ms: betweenStages(timings) }].filter((s) => s.ms > 0);
  const full = Math.max(
    scale,
    all.reduce((sum, s) => sum + s.ms, 0),
  );
  return all.map((s) => ({ ...s, share: s.ms / full }));
}

/** Draws the bar; a reader hears it as one sentence. */
export function drawBar(bar: HTMLElement, timings: Timings, scale = 0): void {
  const pieces = shares(timings, scale);
  const used = pieces.reduce((sum, p) => sum + p.share, 0);
  bar.replaceChildren(
    ...pieces.map((p) =>
      el('i', {
        'data-stage': p.stage,
        'data-ms': p.ms.toFixed(3),
        title: `${label(p.stage)}: ${ms(p.ms)}`,
        '--share': p.share.toFixed(5),
        '--colour': `var(--${p.stage})`,
      }),
    ),
    ...(used < 0.999 ? [el('i', { class: 'rest', '--share': (1 - used).toFixed(5) })] : []),
  );
  bar.setAttribute('role', 'img');
  bar.setAttribute(
    'aria-label',
    `${ms(timings.total)} in all: ${pieces.map((p) => `${label(p.stage)} ${ms(p.ms)}`).join(', ')}`,
  );
}

/** Every stage with its time; those that did not happen keep their place. */
export function drawLegend(legend: HTMLElement, timings?: Timings): void {
  const row = (stage: Stage | 'between', value: number | undefined) =>
    el(
      'div',
      value === undefined ? { class: 'absent' } : {},
      el('dt', { '--colour': `var(--${stage})` }, label(stage)),
      el('dd', { 'data-testid': `ms-${stage}` }, value === undefined ? '–' : ms(value)),
    );
  legend.replaceChildren(
    ...GROUPS.map(({ name, stages }) =>
      el(
        'div',
        {},
        el('h4', {}, name),
        el(
          'dl',
          {},
          ...stages.map((stage) => row(stage, timings?.[stage])),
          // What no stage accounts for passes on this device.
          ...(name === 'This device' ? [row('between', timings && betweenStages(timings))] : []),
        ),
      ),
    ),
  );
}

function label(stage: Stage | 'between'): string {
  return stage === 'between' ? 'in between' : stage;
}
