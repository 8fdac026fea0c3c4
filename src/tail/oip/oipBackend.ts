// TailBackend that forwards: decoded tensors go to an engine (KServe, Triton, OVMS, MLServer, another tail) over the Open
// Inference Protocol. Decoding frames stays here; running the segments is the engine's, which must have them as models.
import { abortError } from '../../abort.ts';
import { IsthmusError } from '../../errors.ts';
import type { Tensors } from '../../tensor.ts';
import type { InferOptions, InferResult, ModelFiles, TailBackend } from '../run/backend.ts';
import { MODEL_TEMPLATE, modelNames, parseBackendUrl } from './backendUrl.ts';
import type { Engine, EngineOutput, EngineRequest } from './engine.ts';
import { engineBusy, engineLate, sequenceLost } from './engineErrors.ts';
import { engineOutputs } from './engineOutputs.ts';
import { grpcEngine } from './grpcEngine.ts';
import { restEngine } from './restEngine.ts';
import { fits, type Sizes } from './shapes.ts';

export interface OipBackendOptions {
  /** `oip+grpc://host:port` or `oip+http://host:port`; with an s before `://` over TLS. */
  url: string;
  /** The engine's names of segments behind a cut, default `{model}@{cut}`; the whole model goes by its own name. */
  model?: string | undefined;
  /** Sent as `Authorization: Bearer …`. */
  token?: string | undefined;
}

/** For requests without a deadline. */
const PATIENCE_MS = 60_000;

/** Requests at the engine at once; it has a queue of its own, and this is the end of ours. */
const MOST_UNDER_WAY = 1024;

/** Waits between attempts that came to nothing. */
const PAUSES_MS = [50, 200];

/**
 * @throws IsthmusError OPTION_INVALID
 * @example const backend = createOipBackend({ url: 'oip+grpc://triton:8001', model: '{model}_{index}' });
 */
export function createOipBackend({ url, model: template, token }: OipBackendOptions): TailBackend {
  const address = parseBackendUrl(url);
  const nameOf = modelNames(template ?? MODEL_TEMPLATE);
  const engine = address.protocol === 'grpc' ? grpcEngine(address, token) : restEngine(address, token);
  let closed = false;
  let underWay = 0;
  return {
    async infer({ manifest }: ModelFiles, first: number, tensors: Tensors, options): Promise<InferResult> {
      if (closed) throw new IsthmusError('CLOSED', 'The tail is stopping. Send the request to another one.');
      if (underWay >= MOST_UNDER_WAY)
        throw engineBusy(engine.address, `${underWay} requests are under way to it`);
      const started = performance.now();
      const cut = first === 0 ? undefined : manifest.cuts[first - 1]!;
      const inputs = cut ? cut.tensors : manifest.inputs;
      const sizes: Sizes = new Map();
      for (const info of inputs) fits(tensors[info.name]!.shape, info, sizes);
      underWay++;
      const outputs = await attempts(
        engine,
        {
          model: nameOf(manifest.name, cut && { name: cut.name, index: first - 1 }),
          id: options.id,
          inputs: inputs.map(({ name }) => ({ name, tensor: tensors[name]! })),
          outputs: manifest.outputs,
          sequence: options.sequence,
          deadline: options.deadline ?? Date.now() + PATIENCE_MS,
          signal: options.signal,
        },
        options,
      ).finally(() => {
        underWay--;
      });
      const checked = engineOutputs(outputs, manifest.outputs, sizes, engine.address);
      return { outputs: checked, timings: { queue: 0, tail: performance.now() - started } };
    },
    async close() {
      closed = true;
      engine.close();
    },
  };
}

/** Tries again only what the engine has not begun. */
async function attempts(
  engine: Engine,
  request: EngineRequest,
  { signal }: InferOptions,
): Promise<EngineOutput[]> {
  const { sequence, deadline } = request;
  for (let attempt = 0; ; attempt++) {
    if (signal?.aborted) throw signal.reason instanceof Error ? signal.reason : abortError();
    if (deadline <= Date.now()) throw engineLate(engine.address);
    const outcome = await engine.infer(request);
    if ('outputs' in outcome) return outcome.outputs;
    const { refused } = outcome;
    // The engine that comes next does not have what the sequence has built up.
    if (sequence && !sequence.start && refused.code === 'OFFLINE') throw sequenceLost(sequence.id, refused);
    const pause = PAUSES_MS[attempt];
    if (pause === undefined || Date.now() + pause >= deadline) throw refused;
    // With some chance in it, or all that were refused together come back together.
    await new Promise((resolve) => setTimeout(resolve, pause * (0.5 + Math.random())));
  }
}
