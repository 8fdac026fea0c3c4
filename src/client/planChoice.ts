// Between a session's choices and the planner's candidates: what a decision makes of a choice, and what the exits of a run make of a
// candidate. It decides nothing.
import { type PresetName, resolveCodec } from '../codec/params.ts';
import type { Manifest } from '../model/manifest.ts';
import type { Candidate } from '../planner/candidates.ts';
import type { Decision } from '../planner/plannerTypes.ts';
import { workOfPart } from '../planner/work.ts';
import type { Choice } from './choose.ts';

/** The decided plan first, then what else the mode allows: here before there, as what failed was most likely the link. */
export function chosen(
  choice: Choice,
  { candidate, patienceMs }: Pick<Decision, 'candidate' | 'patienceMs'>,
  upload: NonNullable<Choice['upload']>,
): Choice {
  const { plan, cut, preset, quality } = candidate;
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
    ...(quality !== undefined && { upload: { ...upload, quality } }),
    ...(patienceMs !== undefined && { patienceMs }),
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
