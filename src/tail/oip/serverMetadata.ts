// What the tail says of itself in the Open Inference Protocol, the same in JSON and in protobuf.
import { readFileSync } from 'node:fs';

// package.json sits three levels above the source and one above the bundle.
const file = import.meta.url.endsWith('.ts') ? '../../../package.json' : '../package.json';
const { version } = JSON.parse(readFileSync(new URL(file, import.meta.url), 'utf8')) as { version: string };

export const serverMetadata = {
  name: 'isthmus',
  version,
  /** Names of Triton's extensions: tensors behind the JSON; parameters of requests. */
  extensions: ['binary_tensor_data', 'parameters'],
};
