// The schemas of the published REST specification (open_inference_rest.yaml of kserve/open-inference-protocol), restated
// for the tests of this folder: which fields an answer must have, and of what kind. `data` is required there unless the
// binary tensor data extension replaces it.
import * as v from 'valibot';

const shape = v.array(v.pipe(v.number(), v.integer()));
const parameters = v.optional(v.record(v.string(), v.union([v.string(), v.number(), v.boolean()])));
const metadataTensor = v.strictObject({ name: v.string(), datatype: v.string(), shape });
const element = v.union([v.number(), v.string(), v.boolean()]);

export const metadataServerResponse = v.strictObject({
  name: v.string(),
  version: v.string(),
  extensions: v.array(v.string()),
});

export const metadataModelResponse = v.strictObject({
  name: v.string(),
  versions: v.optional(v.array(v.string())),
  platform: v.string(),
  inputs: v.optional(v.array(metadataTensor)),
  outputs: v.optional(v.array(metadataTensor)),
});

const output = v.strictObject({
  name: v.string(),
  shape,
  datatype: v.string(),
  parameters,
  data: v.array(element),
});
const binaryOutput = v.strictObject({
  name: v.string(),
  shape,
  datatype: v.string(),
  parameters: v.strictObject({ binary_data_size: v.pipe(v.number(), v.integer()) }),
});

export const inferenceResponse = v.strictObject({
  model_name: v.string(),
  model_version: v.optional(v.string()),
  id: v.optional(v.string()),
  parameters,
  outputs: v.array(v.union([output, binaryOutput])),
});

export const inferenceErrorResponse = v.strictObject({ error: v.string() });
