// Bodies that nobody meant: thousands of damaged requests of the Open Inference Protocol, as JSON, binary and protobuf
// contents. Each is read or refused with a code of ours, and never anything larger than the body allocated for it.
import fc from 'fast-check';
import { beforeAll, expect, test } from 'vitest';
import { IsthmusError } from '../../errors.ts';
import { modelTag } from '../../model/manifest.ts';
import { elementCount, type Tensors } from '../../tensor.ts';
import { loadServedModel } from '../models/servedModel.ts';
import { testModels, wave } from '../testModels.fixture.ts';
import { jsonLength } from './binaryBody.ts';
import type { ProtoRequest } from './messages.ts';
import { tinyRequest } from './oipClient.fixture.ts';
import { readParameters } from './parameters.ts';
import { inferenceService } from './protocol.ts';
import { plainParameters, protoInputs } from './protoRequest.ts';
import { readRestRequest } from './restRequest.ts';
import type { Target } from './targets.ts';

let target: Target;

beforeAll(async () => {
  const { dir, tiny } = await testModels();
  const model = await loadServedModel(`${dir}/tiny`);
  const { inputs, outputs } = tiny;
  target = { name: 'tiny', version: modelTag(tiny), model, first: 0, inputs, outputs, usual: ['scores'] };
});

/** Refusals count as well as tensors that are what they say. */
function check(read: () => Tensors, bytes: number): 'read' | 'refused' {
  try {
    for (const { shape, data } of Object.values(read())) {
      expect(data.length).toBe(elementCount(shape));
      expect(data.byteLength).toBeLessThanOrEqual(8 * bytes);
    }
    return 'read';
  } catch (thrown) {
    if (!(thrown instanceof IsthmusError)) throw thrown;
    expect(thrown.status).toBeLessThan(502);
    expect(thrown.status).not.toBe(500);
    return 'refused';
  }
}

/** Some bytes changed, some left out. */
const damage = fc.record({
  changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
  cut: fc.option(fc.nat(), { nil: undefined }),
});
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function damaged(good: Uint8Array, { changes, cut }: Damage): Uint8Array {
  const bytes = good.slice(0, cut === undefined ? good.length : cut % (good.length + 1));
  for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
  return bytes;
}

test('damaged REST bodies, JSON and binary', () => {
  const shape = [1, 3, 8, 8];
  const numbers = Buffer.from(
    JSON.stringify({
      id: 'a',
      parameters: { sequence_id: 5, timeout: 1000 },
      inputs: [{ name: 'x', shape, datatype: 'FP32', data: Array.from({ length: 192 }, (_, i) => i) }],
      outputs: [{ name: 'scores', parameters: { binary_data: true } }],
    }),
  );
  const top = Buffer.from(
    JSON.stringify({
      inputs: [{ name: 'x', shape, datatype: 'FP32', parameters: { binary_data_size: 768 } }],
    }),
  );
  const binary = Buffer.concat([top, new Uint8Array(wave(192).buffer)]);
  const seen = { read: 0, refused: 0 };
  fc.assert(
    fc.property(damage, fc.boolean(), fc.option(fc.nat(1200), { nil: undefined }), (change, json, header) => {
      const body = new Uint8Array(damaged(new Uint8Array(json ? numbers : binary), change));
      const length = header ?? (json ? body.length : top.length);
      const read = () => readRestRequest(body, jsonLength(String(length), body.length), target).inputs;
      seen[check(read, Math.max(body.length, 1))]++;
    }),
    { numRuns: 8000 },
  );
  expect(seen.read).toBeGreaterThan(20);
  expect(seen.refused).toBeGreaterThan(1000);
});

test('any JSON at all', () => {
  const key = fc.constantFrom(
    'inputs',
    'outputs',
    'parameters',
    'name',
    'shape',
    'datatype',
    'data',
    'x',
    'id',
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom(null, true, 0, -1, 1, 3, 8, 2 ** 53, 1e300, 'x', 'FP32', ''),
      fc.array(tie('tree'), { maxLength: 5 }),
      fc.dictionary(key, tie('tree'), { maxKeys: 5 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      const body = new TextEncoder().encode(JSON.stringify({ inputs: value }));
      check(() => readRestRequest(body, body.length, target).inputs, body.length);
    }),
    { numRuns: 5000 },
  );
});

test('damaged protobuf messages', () => {
  const { requestSerialize, requestDeserialize } = inferenceService.ModelInfer!;
  const raw = requestSerialize(tinyRequest(wave(192), { parameters: { sequence_id: { int64_param: 5 } } }));
  const typed = requestSerialize({
    model_name: 'tiny',
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [1, 3, 8, 8], contents: { fp32_contents: [...wave(192)] } },
    ],
  });
  const seen = { read: 0, refused: 0, unreadable: 0 };
  fc.assert(
    fc.property(damage, fc.boolean(), (change, isRaw) => {
      const bytes = Buffer.from(damaged(new Uint8Array(isRaw ? raw : typed), change));
      let request: ProtoRequest;
      try {
        request = requestDeserialize(bytes) as ProtoRequest;
      } catch {
        seen.unreadable++; // grpc-js answers INTERNAL and the tail never hears of it
        return;
      }
      const read = () => {
        readParameters(plainParameters(request.parameters));
        return protoInputs(request, target);
      };
      seen[check(read, Math.max(bytes.length, 1))]++;
    }),
    { numRuns: 8000 },
  );
  expect(seen.read).toBeGreaterThan(20);
  expect(seen.refused).toBeGreaterThan(100);
});
