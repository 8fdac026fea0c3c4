// The page's entry: connects to a tail, runs each photo through the session, shows what came back. One job at a time;
// a newer photo or setting takes the place of an older job. Drawing lives in the files it calls.
import { connect, IsthmusError, type Report, type Result, type Session } from '../index.ts';
import { drawAnswer, drawNoAnswer, markStale, whatWouldLeave } from './answer.ts';
import { watchCamera } from './camera.ts';
import { createChart } from './chart.ts';
import { clearCompare, compare, prepareCompare } from './compare.ts';
import { createControls } from './controls.ts';
import { part } from './dom.ts';
import { bytes, ms } from './format.ts';
import { release, remember } from './history.ts';
import { type Photo, showCrop, showPhoto, watchPhotos } from './photo.ts';
import { hideProblem, isAbort, type Remedy, showProblem } from './problem.ts';
import { drawRivals, rivalsFailed } from './rivals.ts';
import { keepSettings, readSettings } from './settings.ts';
import { deviceWords, say, setState, showChip, showProgress } from './status.ts';
import { listModels, parseAddress } from './tail.ts';

declare global {
  interface Window {
    /** The report of the last run: a hook for tests and for the curious. */
    __isthmusLast?: Report;
    /** The library itself, for the console: `await isthmus.connect('/models/NAME')`. */
    isthmus?: { connect: typeof connect };
  }
}

window.isthmus = { connect };

const settings = readSettings();
const chart = createChart();
const errorBox = part('error', HTMLElement);
const compareButton = part('compare-run', HTMLButtonElement);
const controls = createControls(settings, (change) => {
  keepSettings(settings);
  clearCompare();
  if (change === 'connect') void open();
  else if (photo) void run();
  else part('leaves', HTMLElement).textContent = whatWouldLeave(settings.mode);
});

let session: Session | undefined;
let host = '';
let photo: Photo | undefined;
let job = new AbortController();
/** The rivals of the last run; comparing plans does not stop them, a new run does. */
let weighing = new AbortController();

/** Ends what is going on and gives the signal of what comes next. */
function begin(state: 'connecting' | 'running'): AbortSignal {
  job.abort();
  job = new AbortController();
  hideProblem(errorBox);
  setState(state, session !== undefined);
  compareButton.disabled = true;
  return job.signal;
}

function end(state: 'idle' | 'failed'): void {
  setState(state, session !== undefined);
  compareButton.disabled = !session || !photo;
  markStale(false);
}

const remedies: Record<Remedy, () => void> = {
  again: () => void (session ? run() : open()),
  connect: () => void open(),
  photo: () => part('file', HTMLInputElement).click(),
  reload: () => location.reload(),
  own() {
    Object.assign(settings, { endpoint: '', model: '', cut: '' });
    keepSettings(settings);
    controls.sync();
    void open();
  },
  automatic() {
    Object.assign(settings, { cut: '', mode: 'prefer-split', device: 'auto' });
    keepSettings(settings);
    controls.sync();
    void open();
  },
};

function fail(thrown: unknown): void {
  const error = showProblem(errorBox, thrown, remedies, settings.endpoint ? ['own'] : []);
  say('That did not work.');
  chart.dark();
  end('failed');
  if (!session) showChip('failed', error.code === 'OFFLINE' ? 'No server' : 'Not connected');
  if (matchMedia('(max-width: 899px)').matches) errorBox.scrollIntoView({ block: 'nearest' });
}

/** Closes the old session and opens one for the settings; runs the photo that is waiting. */
async function open(): Promise<void> {
  const old = session;
  session = undefined;
  const signal = begin('connecting');
  showChip('wait', 'Connecting');
  say('Connecting to the server');
  weighing.abort();
  old?.close().catch(() => undefined); // a dead worker may refuse; the new session does not care
  try {
    const opened = await openSession(signal);
    if (signal.aborted) opened.close().catch(() => undefined);
    signal.throwIfAborted();
    session = opened;
  } catch (thrown) {
    if (signal !== job.signal) return; // a newer job has the page
    if (isAbort(thrown)) {
      showChip('failed', 'Stopped');
      say('Stopped. Choose a photo to connect again.');
      return end('idle');
    }
    return fail(thrown);
  }
  showChip('ready', `${session.manifest.name}, ${host === location.host ? 'connected' : host}`);
  part('device', HTMLElement).textContent = deviceWords(session.device);
  part('leaves', HTMLElement).textContent = whatWouldLeave(settings.mode);
  controls.cuts(session.manifest);
  showCrop(session.manifest);
  chart.rest(session.manifest, host);
  say('Ready. Give it a photo, or try a sample.');
  end('idle');
  if (photo) await run();
}

async function openSession(signal: AbortSignal): Promise<Session> {
  const { base, model } = parseAddress(settings.endpoint, location.origin);
  host = base === location.origin ? location.host : new URL(base).host;
  const names = await listModels(base, signal);
  const remembered = names.includes(settings.model) ? settings.model : names[0]!;
  const asked = settings.model;
  settings.model = model ?? remembered;
  if (asked !== '' && asked !== settings.model) keepSettings(settings); // it is gone; forget it
  controls.models(model === undefined || names.includes(model) ? names : [model, ...names]);
  const endpoint = `${base}/models/${encodeURIComponent(settings.model)}`;
  const { mode, device, preset: codec } = settings;
  // The page shows what crosses; an early exit would answer most photos before anything does.
  const exits = 'off' as const;
  // So that this device answers when the server goes away; whoever saves data does without.
  const { connection } = navigator as { connection?: { saveData?: boolean; type?: string } };
  const saving = connection?.saveData || connection?.type === 'cellular';
  const standby = !mode.startsWith('only-') && !saving;
  const onModelChange = (manifest: Session['manifest']) => {
    controls.cuts(manifest);
    showCrop(manifest);
  };
  const options = { mode, device, codec, exits, standby, signal, onModelChange, onProgress: showProgress };
  try {
    return await connect(endpoint, settings.cut ? { ...options, cut: settings.cut } : options);
  } catch (thrown) {
    const stale = thrown instanceof IsthmusError && thrown.code === 'CUT_INVALID' && settings.cut !== '';
    if (!stale) throw thrown;
    settings.cut = ''; // remembered from a model that has changed since
    keepSettings(settings);
    controls.sync();
    return connect(endpoint, options);
  }
}

const chosen = () => ({ codec: settings.preset, ...(settings.cut && { cut: settings.cut }) });

async function run(): Promise<void> {
  if (!photo) return;
  if (!session) return open(); // which runs the photo when it has a session
  const [using, shown] = [session, photo];
  const signal = begin('running');
  const wanted = settings.mode.endsWith('local')
    ? 'local'
    : settings.mode.endsWith('remote')
      ? 'remote'
      : 'split';
  say('Running');
  weighing.abort();
  markStale(true);
  chart.running(wanted);
  let result: Result;
  try {
    result = await using.run(shown.blob, { mode: settings.mode, ...chosen(), signal });
    signal.throwIfAborted();
  } catch (thrown) {
    if (signal !== job.signal) return;
    if (!isAbort(thrown)) {
      drawNoAnswer('No answer'); // the old one belongs to another photo
      return fail(thrown);
    }
    say('Stopped.');
    chart.dark();
    return end('idle');
  }
  const { report } = result;
  drawAnswer(result, using.manifest);
  drawRivals(report);
  chart.done(report, using.manifest, host);
  part('device', HTMLElement).textContent = deviceWords(report.device);
  remember(shown, result);
  window.__isthmusLast = report;
  say(`Answered in ${ms(report.ms.total)}, ${bytes(report.bytes.up)} sent.`);
  end('idle');
  await weigh(using, shown, report);
}

/** The longest pause before the rivals are weighed, in milliseconds. */
const PAUSE_MS = 3000;

/**
 * The rivals come after the answer: they cost a second head run. The pause before, as long as the run itself, keeps a
 * slow device free for the next photo of someone who is quick.
 */
async function weigh(using: Session, shown: Photo, report: Report): Promise<void> {
  weighing = new AbortController();
  const { signal } = weighing;
  await new Promise((done) => setTimeout(done, Math.min(report.ms.total, PAUSE_MS)));
  if (signal.aborted) return;
  try {
    const rivals = await using.rivals(shown.blob, { signal, ...(settings.cut && { cut: settings.cut }) });
    if (!signal.aborted) drawRivals(report, rivals);
  } catch (thrown) {
    if (!signal.aborted) rivalsFailed((thrown as Error).message);
  }
}

async function runCompare(): Promise<void> {
  if (!session || !photo) return;
  const signal = begin('running');
  try {
    await compare(session, photo.blob, chosen(), signal, say);
    say('All plans have run.');
  } catch {
    if (signal !== job.signal) return;
    say('Stopped.');
  }
  end('idle');
}

function take(next: Photo): void {
  const old = photo;
  photo = next;
  showPhoto(next);
  if (old) release(old);
  clearCompare();
  if (matchMedia('(max-width: 899px)').matches)
    part('photo', HTMLElement).scrollIntoView({ behavior: 'smooth' });
  // While a session is opening the photo waits for it; open() runs it at the end.
  if (document.documentElement.dataset.state !== 'connecting') void run();
}

drawNoAnswer('No photo yet');
drawRivals();
prepareCompare();
watchPhotos(take, fail);
watchCamera(take);
compareButton.addEventListener('click', () => void runCompare());
part('stop', HTMLButtonElement).addEventListener('click', () => {
  say('Stopping');
  job.abort(new DOMException('Stopped by the person at the page.', 'AbortError'));
});
addEventListener('pagehide', () => session?.close().catch(() => undefined));
addEventListener('pageshow', (event) => event.persisted && void open()); // back from the browser's page cache
void open();
