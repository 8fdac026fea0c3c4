// Which version of which model a frame means, and what to say of one that has been replaced. It runs nothing.
import { IsthmusError } from '../../errors.ts';
import type { Frame } from '../../wire/layout.ts';
import type { TailContext } from '../context.ts';
import { type ServedModel, versionByTag } from '../models/registry.ts';

/**
 * The version that the frame was made for; where the address named a model, one of that model.
 * @throws IsthmusError MODEL_MISMATCH
 */
export function versionOf(
  { registry, gate }: TailContext,
  { modelTag: tag }: Frame,
  model: ServedModel | undefined,
): ServedModel {
  // With another tag it is still the model that refuses the frame, in words that name it.
  if (model) return versionByTag(registry, tag, model.manifest.name) ?? model;
  const found = versionByTag(registry, tag);
  if (found) return found;
  // Behind a gate, what there is may be none of this client's business.
  const all = gate.closed ? [] : [...registry.models.values()];
  const there = all.map((m) => `${m.manifest.name} (${m.tag})`).join(', ');
  throw new IsthmusError(
    'MODEL_MISMATCH',
    `The frame was made for model ${tag}, which this tail does not have.${there && ` It has: ${there}.`} Fetch the manifest again.`,
  );
}

/** A version that was replaced is answered while it can be; once it can not, its clients need the new one. */
export function ofRetired({ retired, manifest, tag }: ServedModel, thrown: unknown): unknown {
  if (!retired || !(thrown instanceof IsthmusError) || thrown.code !== 'INFERENCE_FAILED') return thrown;
  return new IsthmusError(
    'MODEL_MISMATCH',
    `The version ${tag} of '${manifest.name}' has been replaced and cannot be run any more. Fetch the manifest again.`,
    { cause: thrown },
  );
}
