// Between a session's choices and the planner's candidates: what a decision makes of a choice, and what the exits of a run make of a
// candidate. It decides nothing.
import { type PresetName, resolveCodec } from '../codec/params.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Candidate } from '../planner/candidates.ts';
import type { Decision } from '../planner/plannerTypes.ts';
import { workOfPart } from '../planner/work.ts';
import type { Choice } from './choose.ts';
import type { Report } from './resultTypes.ts';

/** How the picture of such a candidate travels; undefined where none does. */
export function uploadOf({ plan, preset, quality }: Candidate): Choice['upload'] {
  if (plan !== 'remote' || quality === undefined) return undefined;
  return { format: preset === 'webp' ? 'webp' : 'jpeg', quality };
}

/**
 * The decided plan first, then what else the mode allows: here before there, as what failed was most likely the link.
 * @param fallback how the picture travels where another plan was decided; undefined: as the session does it
 */
export function chosen(
  choice: Choice,
  { candidate, patienceMs, race }: Pick<Decision, 'candidate' | 'patienceMs' | 'race'>,
  fallback?: Choice['upload'],
): Choice {
  const { plan, cut, preset } = candidate;
  const upload = uploadOf(candidate) ?? fallback;
  const others = choice.plans.filter((other) => other !== plan);
  const local = others.filter((other) => other === 'local');
  return {
    ...choice,
    plans: [plan, ...local, ...others.filter((other) => other !== 'local')],
    ...(plan === 'split' && {
      cut,
      ...(preset !== choice.preset &&
        preset !== undefined && { preset, codec: resolveCodec(preset as PresetName) }),
    }),
    ...(upload && { upload }),
    ...(patienceMs !== undefined && { patienceMs }),
    ...(race && { race }),
  };
}

/** The exits that may end such a run; what they get wrong counts for as many pictures as end there. */
export function withExits(
  candidate: Candidate,
  { exits = [], segments }: Manifest,
  asked: readonly number[],
): Candidate {
  const onTheWay = asked.flatMap((at) => {
    const { name, cut, threshold, macs, bytes } = exits[at]!;
    if (!threshold) return [];
    const { coverage, agreement } = threshold;
    return [{ name, cut, coverage, agreement, work: workOfPart({ segments }, { macs, bytes }) }];
  });
  if (onTheWay.length === 0) return candidate;
  const through =
    1 -
    Math.min(
      1,
      onTheWay.reduce((sum, exit) => sum + exit.coverage, 0),
    );
  const early = onTheWay.reduce((sum, exit) => sum + exit.coverage * exit.agreement, 0);
  const { accuracy } = candidate;
  return {
    ...candidate,
    exits: onTheWay,
    ...(accuracy !== undefined && { accuracy: Math.min(1, early + through * accuracy) }),
  };
}

/** The candidate that such an answer is of: the decided one, or another that the run went over to. */
export function meant(
  { ran, cut, preset, upload }: Pick<Report, 'ran' | 'cut' | 'preset' | 'upload'>,
  decided: Candidate,
  left: readonly Candidate[],
): Candidate | undefined {
  const wanted = preset ?? upload?.format;
  const same = (c: Candidate) =>
    c.plan === (ran === 'exit' ? 'split' : ran) &&
    (ran !== 'split' || (c.cutName === cut && c.preset === wanted)) &&
    (!upload || (c.preset === upload.format && c.quality === upload.quality));
  return same(decided) ? decided : ran === 'exit' ? undefined : left.find(same);
}
