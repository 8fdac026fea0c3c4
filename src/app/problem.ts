// Errors as a person meets them: what is wrong in one heading, the error's own sentence, and buttons for what helps.
// The page stays alive whatever happens; this file decides nothing but words and remedies.
import { IsthmusError } from '../index.ts';
import { button, el } from './dom.ts';

type Code = IsthmusError['code'];
export type Remedy = 'again' | 'connect' | 'photo' | 'automatic' | 'own' | 'reload';

const REMEDY_TEXT: Record<Remedy, string> = {
  again: 'Try again',
  connect: 'Connect again',
  photo: 'Choose another photo',
  automatic: 'Automatic plan, cut and device',
  own: 'Use the server of this page',
  reload: 'Load the page again',
};

interface Advice {
  heading: string;
  remedies: readonly Remedy[];
}

const PICTURE: Advice = { heading: 'This picture cannot be used.', remedies: ['photo'] };
const SERVER: Advice = { heading: 'The server cannot answer.', remedies: ['connect'] };
const MODEL: Advice = { heading: 'The model cannot be used.', remedies: ['connect'] };
const DEVICE: Advice = { heading: 'This device cannot run it so.', remedies: ['automatic', 'again'] };
const CHOICE: Advice = { heading: 'These settings do not fit.', remedies: ['automatic'] };
const BUSY: Advice = { heading: 'The answer did not come in time.', remedies: ['again'] };
const ACCESS: Advice = { heading: 'The server does not let this page in.', remedies: ['connect'] };
const DEFECT: Advice = { heading: 'Something failed inside.', remedies: ['again', 'reload'] };

const ADVICE: Record<Code, Advice> = {
  IMAGE_INVALID: PICTURE,
  IMAGE_TOO_LARGE: PICTURE,
  INPUT_INVALID: PICTURE,
  OFFLINE: SERVER,
  NOT_ISTHMUS: SERVER,
  NOT_FOUND: SERVER,
  CLOSED: SERVER,
  MODEL_NOT_FOUND: SERVER,
  MODEL_MISMATCH: SERVER,
  DOWNLOAD_FAILED: SERVER,
  MODEL_INVALID: MODEL,
  MODEL_UNSUPPORTED: MODEL,
  SHAPE_UNKNOWN: MODEL,
  MANIFEST_INVALID: MODEL,
  INTEGRITY_MISMATCH: MODEL,
  WEBGPU_UNAVAILABLE: DEVICE,
  INFERENCE_FAILED: DEVICE,
  FEATURE_NOT_FINITE: DEVICE,
  DEVICE_LOST: { heading: 'The GPU went away.', remedies: ['connect', 'automatic'] },
  WORKER_FAILED: { heading: 'The worker stopped.', remedies: ['connect', 'reload'] },
  CUT_INVALID: CHOICE,
  CODEC_INVALID: CHOICE,
  OPTION_INVALID: CHOICE,
  NOT_SUPPORTED: CHOICE,
  OVERLOADED: BUSY,
  SEQUENCE_LOST: BUSY,
  RATE_LIMITED: BUSY,
  FEATURE_GONE: BUSY,
  UNAUTHENTICATED: ACCESS,
  FORBIDDEN: ACCESS,
  DEADLINE_EXCEEDED: BUSY,
  FRAME_CORRUPT: { heading: 'The frame was damaged on its way.', remedies: ['again'] },
  FRAME_INVALID: DEFECT,
  FRAME_VERSION: { heading: 'Page and server are of different versions.', remedies: ['reload'] },
  TOO_LARGE: { heading: 'That is too large for the server.', remedies: ['automatic', 'photo'] },
  REQUEST_INVALID: DEFECT,
  INTERNAL: DEFECT,
};

/** True when someone stopped the work, which is no error. */
export function isAbort(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === 'AbortError';
}

/** Fills and shows the error box. `also` adds remedies that the settings of the moment suggest. */
export function showProblem(
  box: HTMLElement,
  thrown: unknown,
  actions: Record<Remedy, () => void>,
  also: readonly Remedy[] = [],
): IsthmusError {
  const error = IsthmusError.from(thrown, 'INTERNAL', 'The page met an error it did not expect.');
  const { heading, remedies } = ADVICE[error.code];
  box.dataset.code = error.code;
  box.replaceChildren(
    el('p', {}, el('b', {}, heading), ` ${error.message}`),
    el(
      'div',
      {},
      ...[...remedies, ...also].map((r) => button(REMEDY_TEXT[r], actions[r], { 'data-remedy': r })),
    ),
  );
  box.hidden = false;
  box.parentElement?.classList.add('failed');
  return error;
}

export function hideProblem(box: HTMLElement): void {
  box.hidden = true;
  box.parentElement?.classList.remove('failed');
  delete box.dataset.code;
  box.replaceChildren();
}
