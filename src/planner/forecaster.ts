// Forecaster: link, device and server estimates as one, so that every candidate has an expected time at any moment. It
// learns from observations and decides nothing.
import type { Candidate } from './candidates.ts';
import { type DeviceSample, DeviceTimes } from './deviceTimes.ts';
import { ExitShares } from './exitShares.ts';
import type { Forecast } from './limits.ts';
import { LinkEstimate } from './linkEstimate.ts';
import { MessageSizes } from './messageSizes.ts';
import { type ServerSample, ServerTimes } from './serverTimes.ts';
import type { Work } from './work.ts';

/** One answer as it was measured: milliseconds by stage, as in a report, and the bytes of its frames. */
export interface Observation extends DeviceSample, ServerSample {
  /** The way there and back, less the server's stages. */
  uplink?: number | undefined;
  downlink?: number | undefined;
  /** Name of the exit that answered, where one did. */
  exit?: string | undefined;
  total: number;
  bytesUp: number;
  bytesDown: number;
}

/** Messages that it takes to know a link. */
const FEW = 3;
const STAGES = ['preprocess', 'head', 'encode', 'uplink', 'decode', 'queue', 'tail', 'downlink'] as const;
/** Clocks and rounding: a stage may seem to take a little more than the whole. */
const SLACK = 1.05;
/** Bytes of a reply before one was seen. */
const REPLY_BYTES = 4200;

export class Forecaster {
  link = new LinkEstimate();
  device: DeviceTimes;
  readonly server: ServerTimes;
  readonly #exits = new ExitShares();
  readonly #sizes = new MessageSizes();
  readonly #observed = new Map<string, number>();
  #replyBytes = REPLY_BYTES;
  #heard = 0;

  readonly #work: Work;

  constructor(work: Work) {
    this.#work = work;
    this.device = new DeviceTimes(work);
    this.server = new ServerTimes(work);
  }

  /** What was measured of the device is another one's. */
  newDevice(): void {
    this.device = new DeviceTimes(this.#work);
  }

  forecast(candidate: Candidate): Forecast {
    const bytes = this.#sizes.of(candidate);
    const deviceMs = this.device.predict(candidate);
    const crosses = candidate.plan !== 'local';
    const linkMs = crosses ? this.link.predict(bytes, this.#replyBytes) : 0;
    const serverMs = this.server.predict(candidate);
    const ms = this.#expected(candidate, deviceMs + linkMs + serverMs);
    return { candidate, ms, deviceMs, linkMs, serverMs, bytes };
  }

  /** @returns share of runs that are expected to end at an exit, 0…1 */
  endingEarly({ exits = [] }: Candidate): number {
    return this.#exits.of(exits).reduce((a, b) => a + b, 0);
  }

  /** Some runs end at an exit, the others take `through` milliseconds. */
  #expected(candidate: Candidate, through: number): number {
    const { exits = [] } = candidate;
    let ms = 0;
    let left = 1;
    for (const [i, share] of this.#exits.of(exits).entries()) {
      ms += share * this.device.predictUntil(candidate, i);
      left -= share;
    }
    return ms + Math.max(0, left) * through;
  }

  /**
   * What it could take at best, as far as is known while `current` is what runs: messages of one size tell little about
   * others, and a link and a server that nobody used lately may be as good as they once were.
   */
  best(forecast: Forecast, current: Forecast, now: number): number {
    const { candidate, bytes } = forecast;
    const device = this.device.predictBest(candidate);
    if (candidate.plan === 'local') return device;
    const athome = current.candidate.plan === 'local';
    const spread = this.link.spreadOf(bytes, this.#replyBytes, now - this.#heard);
    const unsure = Math.max(0, forecast.linkMs - spread);
    const link = athome ? Math.min(unsure, this.link.predictBest(bytes, this.#replyBytes)) : unsure;
    const server = athome ? this.server.predictBest(candidate) : this.server.predictLeast(candidate);
    return this.#expected(candidate, device + link + server);
  }

  /** Mean wall clock of this candidate's answers, undefined before the first. */
  observedMs(candidate: Candidate): number | undefined {
    return this.#observed.get(candidate.id);
  }

  /** A crossing that was given up would have taken longer than that. @returns whether this is another link */
  tooLate(candidate: Candidate, waitedMs: number): boolean {
    // The first crossings are slow for other reasons as well: connections are opened, sessions compiled.
    if (this.link.samples < FEW) return false;
    const { bytes, serverMs } = this.forecast(candidate);
    const ms = Math.max(0, 1.25 * waitedMs - serverMs);
    return this.link.observe({ bytesUp: bytes, bytesDown: this.#replyBytes, ms }, true);
  }

  /**
   * @param suspected a crossing before this one did not come in time
   * @returns what changed: link, device or server are no longer what they were
   */
  observe(candidate: Candidate, told: Observation, now: number, suspected = false): string | undefined {
    const seen = sane(told);
    if (!seen) return undefined;
    const before = this.#observed.get(candidate.id);
    this.#observed.set(
      candidate.id,
      before === undefined ? seen.total : before + 0.2 * (seen.total - before),
    );
    const spent = STAGES.reduce((sum, stage) => sum + (seen[stage] ?? 0), 0);
    const other = seen.other ?? seen.total - spent;
    const { exits = [] } = candidate;
    const ended = exits.findIndex(({ name }) => name === seen.exit);
    if (candidate.plan === 'split' && exits.length > 0) this.#exits.observe(exits, seen.exit);
    if (seen.exit !== undefined && ended < 0) return undefined;
    let changed = this.device.observe(candidate, { ...seen, other }, ended) ? 'this device' : undefined;
    if (ended >= 0) return changed;
    if (candidate.plan === 'local' || seen.uplink === undefined) return changed;
    this.#sizes.observe(candidate, seen.bytesUp);
    this.#replyBytes += 0.3 * (seen.bytesDown - this.#replyBytes);
    if (this.server.observe(candidate, seen, suspected)) changed = 'the server';
    const { bytesUp, bytesDown } = seen;
    const sinceMs = now - this.#heard;
    this.#heard = now;
    if (this.link.observe({ bytesUp, bytesDown, ms: seen.uplink + (seen.downlink ?? 0), sinceMs }))
      changed = 'the link';
    return changed;
  }
}

/**
 * What can be true of it: a reply may claim any times for its server, but none above the whole answer's.
 * @returns undefined where the answer has no time
 */
function sane(seen: Observation): Observation | undefined {
  const { total } = seen;
  if (!(total >= 0 && total < Number.POSITIVE_INFINITY)) return undefined;
  const wrong = (value: unknown) => typeof value === 'number' && !(value >= 0 && value <= SLACK * total + 1);
  const lost = STAGES.filter((stage) => wrong(seen[stage]));
  const sent = [seen.bytesUp, seen.bytesDown].every(
    (bytes) => bytes >= 0 && bytes < Number.POSITIVE_INFINITY,
  );
  if (lost.length === 0 && sent) return seen;
  const without = Object.fromEntries(lost.map((stage) => [stage, undefined]));
  // The time of what is left out belongs to no other stage.
  return { ...seen, ...without, other: 0, ...(!sent && { uplink: undefined, bytesUp: 0, bytesDown: 0 }) };
}
