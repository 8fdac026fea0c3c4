// The rivals in time: the same photo split, everything local, and uploaded, each run twice for real; the second run is
// shown, since the first may still download or compile. Bars share one scale.
import { IsthmusError, type Result, type RunOptions, type Session } from '../index.ts';
import { readable } from './answer.ts';
import { el, fill, part } from './dom.ts';
import { bytes, ms, percent } from './format.ts';
import { LINKS, timingsOn } from './link.ts';
import { isAbort } from './problem.ts';
import { drawBar } from './stages.ts';

const PLANS = [
  { ran: 'split', name: 'Split' },
  { ran: 'local', name: 'Everything local' },
  { ran: 'remote', name: 'Upload the JPEG' },
] as const;
type Ran = (typeof PLANS)[number]['ran'];

/** What one plan came to: an answer, or the reason why there is none. */
type Outcome = Result | IsthmusError;

let outcomes: Partial<Record<Ran, Outcome>> = {};
let busy: Ran | undefined;

/** Fills the choice of links and draws the empty table. */
export function prepareCompare(): void {
  const link = part('link', HTMLSelectElement);
  fill(
    link,
    [['', 'as measured now'], ...LINKS.map((l, i) => [String(i), `${l.name}, calculated`] as const)],
    '',
  );
  link.addEventListener('change', draw);
  draw();
}

export function clearCompare(): void {
  outcomes = {};
  busy = undefined;
  draw();
}

/** Runs all three plans. Throws only when aborted; a plan that fails says so in its row. */
export async function compare(
  session: Session,
  photo: Blob,
  split: Pick<RunOptions, 'cut' | 'codec'>,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<void> {
  clearCompare();
  try {
    for (const { ran, name } of PLANS) {
      busy = ran;
      draw();
      const options = { ...(ran === 'split' ? split : {}), mode: `only-${ran}` as const, signal };
      try {
        say(`${name}: warming up`);
        await session.run(photo, options);
        say(`${name}: measuring`);
        outcomes[ran] = await session.run(photo, options);
      } catch (thrown) {
        if (isAbort(thrown)) throw thrown;
        outcomes[ran] = IsthmusError.from(thrown, 'INTERNAL', 'This plan failed.');
      }
    }
  } finally {
    busy = undefined;
    draw();
  }
}

function draw(): void {
  const choice = part('link', HTMLSelectElement).value;
  const link = choice === '' ? undefined : LINKS[Number(choice)];
  const times = Object.values(outcomes).map((o) =>
    o instanceof IsthmusError ? 0 : timingsOn(o.report, link).total,
  );
  const longest = Math.max(0, ...times);
  const fastest = Math.min(...times.filter((t) => t > 0));
  part('compare', HTMLElement).replaceChildren(
    ...PLANS.map(({ ran, name }) => {
      const outcome = outcomes[ran];
      const head = el('div', { class: 'plan-head' }, el('b', {}, name));
      const row = el('div', { class: 'plan', 'data-plan': ran }, head);
      const bar = el('div', { class: 'stage-bar thin' });
      if (!outcome || outcome instanceof IsthmusError) {
        const note = outcome?.message ?? (busy === ran ? 'running' : 'not run yet');
        row.append(bar, el('p', { class: 'plan-facts' }, note));
        return row;
      }
      const { report, labels } = outcome;
      const timings = timingsOn(report, link);
      if (timings.total === fastest && times.length > 1) row.classList.add('fastest');
      head.append(
        el('span', { class: 'plan-total', 'data-ms': timings.total.toFixed(2) }, ms(timings.total)),
      );
      drawBar(bar, timings, longest);
      const best = labels?.[0];
      const answer = best ? `${readable(best.label)} ${percent(best.score)}` : 'answered';
      row.append(
        bar,
        el(
          'p',
          { class: 'plan-facts' },
          `${answer} · ${bytes(report.bytes.up)} up, ${bytes(report.bytes.down)} down`,
        ),
      );
      return row;
    }),
  );
}
