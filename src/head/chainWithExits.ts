// A segment chain with early exits on its way: runs to each exit's cut, asks the exit, and goes on from the same feature only when
// it was not sure enough. The same for both engines; it knows no codec and chooses no exit.
import type * as ort from 'onnxruntime-web/webgpu';
import { judge } from '../model/exitRule.ts';
import type { Manifest } from '../model/manifest.ts';
import type { EarlyPlan, ExitAnswer } from './runtime.ts';
import type { ChainResult, SegmentChain } from './segments.ts';

interface ExitedChain {
  answers: ExitAnswer[];
  /** The feature at the plan's cut; absent where an exit was sure enough. */
  result: ChainResult | undefined;
  /** Lets go of everything that was computed; after the commands that read it were submitted, not before. */
  dispose(): void;
}

/** @param feeds the model's inputs; they stay the caller's */
export async function chainWithExits(
  chain: SegmentChain,
  manifest: Manifest,
  feeds: ReadonlyMap<string, ort.Tensor>,
  { exits, cut }: EarlyPlan,
  onAnswer?: (answer: ExitAnswer) => void,
): Promise<ExitedChain> {
  const answers: ExitAnswer[] = [];
  const stages: ChainResult[] = [];
  const dispose = () => {
    for (const stage of stages.splice(0)) stage.dispose();
  };
  let values = feeds;
  let next = 0;
  async function upTo(at: number): Promise<ChainResult> {
    const names = manifest.cuts[at]!.tensors.map((t) => t.name);
    const stage = await chain.run(values, at, names, next);
    stages.push(stage);
    values = stage.tensors;
    next = at + 1;
    return stage;
  }
  try {
    for (const exit of exits) {
      const info = manifest.exits![exit]!;
      const { tensors } = await upTo(info.cut);
      const outputs = await chain.runExit(exit, tensors);
      const verdict = judge(manifest, info, outputs);
      if (!verdict) continue; // NaN: the whole model will say so
      const answer = { exit, outputs, ...verdict };
      answers.push(answer);
      if (verdict.enough) return { answers, result: undefined, dispose };
      onAnswer?.(answer);
    }
    return { answers, result: await upTo(cut), dispose };
  } catch (thrown) {
    dispose();
    throw thrown;
  }
}
