// One request answered: sends a frame, reads the reply, turns it into named tensors. It resends once when bytes were
// damaged on the way or a tail was just stopping: anything else that went wrong would go wrong again, or be done twice.
import { type ErrorCode, IsthmusError } from '../errors.ts';
import type { Manifest } from '../model/manifest.ts';
import { modelTag } from '../model/manifest.ts';
import type { Tensors } from '../tensor.ts';
import { bytesPerElement, elementCount, viewBytes } from '../tensor.ts';
import type { Frame } from '../wire/layout.ts';
import { readFrame } from '../wire/readFrame.ts';
import type { SendOptions, Transport, TransportKind } from './transport.ts';

export interface Answer {
  outputs: Tensors;
  /** Milliseconds; `uplink` is the first byte's time less all that the server says it spent, so it holds one round trip. */
  timings: { uplink: number; decode?: number; queue?: number; tail?: number; downlink: number };
  /** Frame bytes of every attempt. */
  bytesUp: number;
  bytesDown: number;
  /** What carried the answer. */
  transport: TransportKind;
  resent: boolean;
}

/**
 * @throws whatever `transport.send` throws; the error a tail answered; FRAME_CORRUPT and CLOSED after the second try;
 * MODEL_MISMATCH or FRAME_INVALID for a reply that does not belong to this model.
 */
export async function exchange(
  transport: Transport,
  manifest: Manifest,
  request: Uint8Array,
  options: SendOptions = {},
): Promise<Answer> {
  let bytesUp = 0;
  let bytesDown = 0;
  for (let attempt = 0; ; attempt++) {
    bytesUp += request.byteLength; // a damaged attempt travelled too, whichever end noticed
    try {
      const delivery = await transport.send(request, options);
      bytesUp += delivery.bytesUp - request.byteLength; // what the transport itself sent again
      bytesDown += delivery.bytesDown;
      const frame = readFrame(delivery.frame);
      const outputs = replyTensors(frame, manifest, manifest);
      return {
        outputs,
        timings: replyTimings(frame, delivery.timings),
        bytesUp,
        bytesDown,
        transport: delivery.via,
        resent: attempt > 0,
      };
    } catch (thrown) {
      if (attempt > 0 || !worthAgain(thrown)) throw thrown;
    }
  }
}

/** CLOSED: the request met a tail that had begun to stop. The transport knows by now, and another tail may be there. */
const AGAIN: ReadonlySet<ErrorCode> = new Set(['FRAME_CORRUPT', 'CLOSED']);

export const worthAgain = (thrown: unknown): boolean =>
  thrown instanceof IsthmusError && AGAIN.has(thrown.code);

/**
 * @param ends the outputs that the reply must have
 * @throws the error that the tail answered; MODEL_MISMATCH, FRAME_INVALID
 */
export function replyTensors(
  frame: Frame,
  manifest: Pick<Manifest, 'id'>,
  ends: Pick<Manifest, 'outputs'>,
): Tensors {
  if (frame.kind === 'error') throw IsthmusError.fromJSON(frame.meta.error);
  if (frame.kind !== 'reply') throw unexpected(`a ${frame.kind} frame came back`);
  if (frame.modelTag !== modelTag(manifest)) {
    throw new IsthmusError(
      'MODEL_MISMATCH',
      `The tail answered for model ${frame.modelTag}, this session has ${modelTag(manifest)}. Connect again.`,
    );
  }
  if (frame.tensors.length !== ends.outputs.length) {
    throw unexpected(
      `${frame.tensors.length} tensors came back, the model has ${ends.outputs.length} outputs`,
    );
  }
  const outputs: Tensors = {};
  for (const [i, { name, dtype }] of ends.outputs.entries()) {
    const t = frame.tensors[i]!;
    const bytes = elementCount(t.shape) * bytesPerElement(t.dtype);
    if (t.family !== 'raw' || t.dtype !== dtype || t.payload.byteLength !== bytes) {
      throw unexpected(`output '${name}' is not a raw ${dtype} tensor of the size it claims`);
    }
    // Copied, so that a kept logit does not keep a whole reply in memory.
    outputs[name] = { dtype, shape: t.shape, data: viewBytes(dtype, t.payload.slice()) };
  }
  return outputs;
}

/** Only what a server sensibly says counts: finite, not negative. */
export function replyTimings(
  frame: Frame,
  measured: { firstByte: number; download: number },
): Answer['timings'] {
  const said = (stage: string) => {
    const ms = frame.meta.timings?.[stage];
    return typeof ms === 'number' && ms >= 0 && Number.isFinite(ms) ? ms : undefined;
  };
  const [decode, queue, tail] = [said('decode'), said('queue'), said('tail')];
  const spent = (decode ?? 0) + (queue ?? 0) + (tail ?? 0) + (said('encode') ?? 0);
  return {
    uplink: Math.max(0, measured.firstByte - spent),
    ...(decode !== undefined && { decode }),
    ...(queue !== undefined && { queue }),
    ...(tail !== undefined && { tail }),
    downlink: measured.download,
  };
}

export function unexpected(what: string): IsthmusError {
  return new IsthmusError(
    'FRAME_INVALID',
    `The tail's reply cannot be used: ${what}. Update the tail and this client to the same release.`,
  );
}
