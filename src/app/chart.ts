// The chart: head, neck and tail light up as a run goes on, and carry what each of them does. It is decoration with
// labels; every figure on it stands in the report below as well.
import type { Report, Session } from '../index.ts';
import art from './chart.svg?raw';
import { part } from './dom.ts';
import { bytes } from './format.ts';

type Plan = Report['ran'];
const PARTS = ['mark-head', 'leg-head', 'mark-neck', 'leg-tail', 'mark-tail'] as const;
const LIT: Record<Plan, readonly (typeof PARTS)[number][]> = {
  split: PARTS,
  local: ['mark-head'],
  exit: ['mark-head'],
  remote: ['leg-head', 'mark-neck', 'leg-tail', 'mark-tail'],
};
/** The replay of a finished run lasts this long, however short the run was. */
const REPLAY_MS = 1100;

export interface Chart {
  /** Labels of a model before anything ran. */
  rest(manifest: Session['manifest'], host: string): void;
  running(plan: Plan): void;
  /** Replays the run: each part lights up after its share of the time. */
  done(report: Report, manifest: Session['manifest'], host: string): void;
  /** Nothing runs and nothing is lit. */
  dark(): void;
}

export function createChart(): Chart {
  const chart = part('chart', HTMLElement);
  chart.insertAdjacentHTML('afterbegin', art);
  const label = (id: string, text: string) => {
    part(id, HTMLElement).textContent = text;
  };
  let timers: number[] = [];

  function light(names: readonly string[]) {
    for (const timer of timers) clearTimeout(timer);
    timers = [];
    for (const name of PARTS) chart.querySelector(`.${name}`)?.classList.toggle('on', names.includes(name));
  }
  const stop = () => {
    chart.classList.remove('running');
    light([]);
  };

  return {
    rest(manifest, host) {
      stop();
      const n = manifest.segments.length;
      label('place-head', n > 1 ? `the first of ${n} segments` : 'the whole model');
      label('place-neck', manifest.cuts.length > 0 ? plural(manifest.cuts.length, 'cut') : 'no cut');
      label('place-neck-note', 'what crosses');
      label('place-tail', `the rest, at ${host}`);
    },
    running(plan) {
      light(LIT[plan]);
      chart.classList.add('running');
    },
    done(report, manifest, host) {
      stop();
      const n = manifest.segments.length;
      const here = manifest.cuts.findIndex((c) => c.name === report.cut) + 1;
      const device = report.device.kind === 'webgpu' ? 'WebGPU' : 'WebAssembly';
      label(
        'place-head',
        report.ran === 'split'
          ? `${here} of ${n} segments, ${device}`
          : report.ran === 'local'
            ? `the whole model, ${device}`
            : 'sends the picture',
      );
      label('place-neck', report.ran === 'local' ? 'nothing crosses' : bytes(report.bytes.up));
      label(
        'place-neck-note',
        report.ran === 'split'
          ? `${report.preset} at ${report.cut}`
          : report.ran === 'remote'
            ? 'the picture, encoded'
            : '',
      );
      label(
        'place-tail',
        report.ran === 'split'
          ? `${plural(n - here, 'segment')}, ${host}`
          : report.ran === 'local'
            ? 'not asked'
            : `the whole model, ${host}`,
      );
      if (matchMedia('(prefers-reduced-motion: reduce)').matches) return light(LIT[report.ran]);
      for (const [name, at] of schedule(report)) {
        timers.push(window.setTimeout(() => chart.querySelector(`.${name}`)?.classList.add('on'), at));
      }
    },
    dark: stop,
  };
}

/** When each part lights up, in milliseconds of the replay. */
export function schedule(report: Pick<Report, 'ran' | 'ms'>): [string, number][] {
  const { ms } = report;
  const here = (ms.preprocess ?? 0) + (ms.head ?? 0) + (ms.encode ?? 0);
  const up = ms.uplink ?? 0;
  const there = (ms.decode ?? 0) + (ms.tail ?? 0) + (ms.downlink ?? 0);
  const all = here + up + there || 1;
  const at: Record<(typeof PARTS)[number], number> = {
    'mark-head': 0,
    'leg-head': here,
    'mark-neck': here + up / 3,
    'leg-tail': here + (2 * up) / 3,
    'mark-tail': here + up,
  };
  return LIT[report.ran].map((name) => [name, (at[name] / all) * REPLAY_MS]);
}

const plural = (n: number, word: string) => `${n} ${word}${n === 1 ? '' : 's'}`;
