// ShapeProbe: asks an inference engine for element types and shapes of a model's outputs without running it.
// One interface and what its onnxruntime implementations (probeNode.ts, probeWeb.ts) share.
import { IsthmusError } from '../errors.ts';

/** One output as the engine describes it. */
export interface ProbedOutput {
  name: string;
  isTensor: boolean;
  /** Element type in onnxruntime's words (`float32`, `int64`, …). */
  type?: string;
  /** Names for symbolic dimensions, '' for unknown ones; unknown rank looks like a scalar, []. */
  shape?: readonly (number | string)[];
}

/**
 * Loads a model and describes its outputs. It must not run the model and must free it again.
 *
 * @throws IsthmusError MODEL_UNSUPPORTED naming an operator the engine lacks; MODEL_INVALID for other refusals.
 */
export type ShapeProbe = (model: Uint8Array) => Promise<readonly ProbedOutput[]>;

/** The part of onnxruntime-common that probing needs; onnxruntime-node and onnxruntime-web both fit. */
export interface OrtLike {
  InferenceSession: {
    create(
      model: Uint8Array,
      options: object,
    ): Promise<{
      outputMetadata: readonly ProbedOutput[];
      release(): Promise<void>;
    }>;
  };
}

/** A probe on an onnxruntime module that the caller has loaded and set up. */
export function ortProbe(ort: OrtLike, provider: string): ShapeProbe {
  return async (model) => {
    try {
      const session = await ort.InferenceSession.create(model, {
        executionProviders: [provider],
        // Folding constants is what settles shapes that are computed from shapes; every tensor is an output and stays.
        graphOptimizationLevel: 'basic',
        intraOpNumThreads: 1,
        logSeverityLevel: 4,
      });
      const outputs = session.outputMetadata.map((o) => ({ ...o }));
      await session.release();
      return outputs;
    } catch (cause) {
      throw refusal(cause);
    }
  };
}

const UNKNOWN_OPERATOR = [
  /No Op registered for (?<op>\S+)/,
  /(?<op>\S+?)\(-?\d+\) is not a registered function\/op/,
  /Could not find an implementation for (?<op>\w+)/,
  /No opset import for domain '(?<op>[^']*)'/,
];

/** onnxruntime explains itself in prose only, so its sentences are read. */
function refusal(cause: unknown): IsthmusError {
  const message = cause instanceof Error ? cause.message : String(cause);
  for (const pattern of UNKNOWN_OPERATOR) {
    const op = pattern.exec(message)?.groups?.op;
    if (op === undefined) continue;
    return new IsthmusError(
      'MODEL_UNSUPPORTED',
      `onnxruntime has no operator '${op}' of the version this model asks for. Export it without that operator.`,
      { cause },
    );
  }
  const reason = message.split('\n')[0]!.slice(0, 300);
  return new IsthmusError('MODEL_INVALID', `onnxruntime refuses this model: ${reason}. Export it again.`, {
    cause,
  });
}
