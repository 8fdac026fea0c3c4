// Family `isthmus` on the GPU: the entry that families.ts has. The job is described in isthmusJob.ts, its dispatches in
// isthmusStages.ts; isthmusRead.ts makes a tensor of what comes back.
import { type IsthmusParams, type IsthmusPlan, planIsthmus } from '../isthmusPlan.ts';
import type { FeatureSpec, GpuFamily, TensorPlan } from './family.ts';
import { isthmusJob } from './isthmusJob.ts';
import { constantTensor, readTensor } from './isthmusRead.ts';
import { isthmusWork } from './isthmusStages.ts';
import type { Tuning } from './tuning.ts';

export const ISTHMUS: GpuFamily<IsthmusParams> = {
  dtypes: ['float32', 'float16'],
  key: (params) => JSON.stringify({ ...params, profile: params.profile?.name }),
  plan: (feature, params, tuning) => planTensor(feature, planIsthmus(params), tuning),
};

/**
 * @param plan what `planIsthmus` makes; tests pass others that no params lead to
 * @throws IsthmusError CODEC_INVALID when the profile does not fit, TOO_LARGE
 */
export function planTensor(feature: FeatureSpec, plan: IsthmusPlan, tuning: Tuning): TensorPlan {
  if (feature.count === 0) return { regions: {}, stages: [], read: () => constantTensor(feature, 0, 0) };
  const job = isthmusJob(feature, plan, tuning);
  return { ...isthmusWork(job, tuning), read: (output) => readTensor(job, output) };
}
