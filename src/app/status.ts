// The line that says what is going on: status for eyes and readers, progress with bytes, Stop while something runs,
// and the chip in the header. Also the two hooks on the document that tests and the curious read.
import type { ConnectOptions, Session } from '../index.ts';
import { part } from './dom.ts';
import { bytes, ms } from './format.ts';

type Progress = Parameters<NonNullable<ConnectOptions['onProgress']>>[0];
type State = 'connecting' | 'running' | 'idle' | 'failed';

const SPOKEN_EVERY_MS = 400;
let lastSaid = 0;

export function say(text: string): void {
  part('status', HTMLElement).textContent = text;
}

/** `documentElement.dataset.ready` is 'true' while a session is connected; `dataset.state` says what it does. */
export function setState(state: State, connected: boolean): void {
  const root = document.documentElement.dataset;
  root.ready = String(connected);
  root.state = state;
  const busy = state === 'connecting' || state === 'running';
  const bar = part('progress', HTMLProgressElement);
  bar.classList.toggle('shown', busy);
  bar.removeAttribute('value'); // indeterminate until bytes are known
  if (!busy) bar.value = 0;
  part('stop', HTMLButtonElement).hidden = !busy;
}

export function showChip(state: 'wait' | 'ready' | 'failed', text: string): void {
  part('connection', HTMLElement).dataset.state = state;
  part('connection-text', HTMLElement).textContent = text;
}

export function showProgress({ stage, loaded, total }: Progress): void {
  const { state } = document.documentElement.dataset;
  if (state !== 'connecting' && state !== 'running') return; // a message of the worker that came late
  const bar = part('progress', HTMLProgressElement);
  if (total > 0) bar.value = Math.min(1, loaded / total);
  else bar.removeAttribute('value');
  const now = performance.now();
  if (loaded < total && now - lastSaid < SPOKEN_EVERY_MS) return; // a reader need not hear every chunk
  lastSaid = now;
  say(progressWords({ stage, loaded, total }));
}

function progressWords({ stage, loaded, total }: Progress): string {
  if (stage === 'manifest') return 'Asking the server about the model';
  const verb = stage === 'download' ? 'Downloading' : 'Preparing';
  return total > 0 ? `${verb} segments: ${bytes(loaded)} of ${bytes(total)}` : `${verb} segments`;
}

const KINDS: Record<Session['device']['kind'], string> = {
  webgpu: 'WebGPU',
  wasm: 'WebAssembly on the CPU',
  node: 'Node',
};

/** Where the head runs, in one sentence; a software adapter is named as what it is. */
export function deviceWords({ kind, adapter, software, measured, note }: Session['device']): string {
  const plain = adapter.replace(/^WebAssembly,? */, '').replace(/ *\(software\)$/, '');
  const parts = [plain ? `${KINDS[kind]}, ${plain}` : KINDS[kind]];
  if (software && kind === 'webgpu') parts.push('a software adapter, so slow: no GPU takes part');
  const times = Object.entries(measured ?? {}).map(([k, v]) => `${k} ${ms(v)}`);
  if (note)
    parts.push(note.split(/\.\s/)[0]!); // what follows is advice for programs
  else if (times.length > 0) parts.push(`measured for the first segment: ${times.join(', ')}`);
  return `${parts.map((p) => p.replace(/\.$/, '')).join('; ')}.`;
}
