// Forecaster: link, device and server estimates as one, so that every candidate has an expected time at any moment. It
// learns from observations and decides nothing.
import type { Candidate } from './candidates.ts';
import { type DeviceSample, DeviceTimes } from './deviceTimes.ts';
import type { Forecast } from './limits.ts';
import { LinkEstimate } from './linkEstimate.ts';
import { type ServerSample, ServerTimes } from './serverTimes.ts';
import type { Work } from './work.ts';

/** One answer as it was measured: milliseconds by stage, as in a report, and the bytes of its frames. */
export interface Observation extends DeviceSample, ServerSample {
  /** The way there and back, less the server's stages. */
  uplink?: number | undefined;
  downlink?: number | undefined;
  total: number;
  bytesUp: number;
  bytesDown: number;
}

/** Messages that it takes to know a link. */
const FEW = 3;
/** Bytes of a reply before one was seen. */
const REPLY_BYTES = 4200;

export class Forecaster {
  link = new LinkEstimate();
  readonly device: DeviceTimes;
  readonly server: ServerTimes;
  readonly #bytes = new Map<string, number>();
  readonly #observed = new Map<string, number>();
  #replyBytes = REPLY_BYTES;
  #heard = 0;

  constructor(work: Work) {
    this.device = new DeviceTimes(work);
    this.server = new ServerTimes(work);
  }

  forecast(candidate: Candidate): Forecast {
    const bytes = this.#bytes.get(candidate.id) ?? candidate.bytes;
    const deviceMs = this.device.predict(candidate);
    const crosses = candidate.plan !== 'local';
    const linkMs = crosses ? this.link.predict(bytes, this.#replyBytes) : 0;
    const serverMs = this.server.predict(candidate);
    return { candidate, ms: deviceMs + linkMs + serverMs, deviceMs, linkMs, serverMs, bytes };
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
    return device + link + (athome ? this.server.predictBest(candidate) : forecast.serverMs);
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

  /** @returns what changed: link, device or server are no longer what they were */
  observe(candidate: Candidate, seen: Observation, now: number): string | undefined {
    const before = this.#observed.get(candidate.id);
    this.#observed.set(
      candidate.id,
      before === undefined ? seen.total : before + 0.2 * (seen.total - before),
    );
    const stages = [
      seen.preprocess,
      seen.head,
      seen.encode,
      seen.uplink,
      seen.decode,
      seen.queue,
      seen.tail,
      seen.downlink,
    ];
    const other = seen.other ?? seen.total - stages.reduce<number>((sum, ms) => sum + (ms ?? 0), 0);
    let changed = this.device.observe(candidate, { ...seen, other }) ? 'this device' : undefined;
    if (candidate.plan === 'local' || seen.uplink === undefined) return changed;
    const bytes = this.#bytes.get(candidate.id);
    this.#bytes.set(candidate.id, bytes === undefined ? seen.bytesUp : bytes + 0.2 * (seen.bytesUp - bytes));
    this.#replyBytes += 0.3 * (seen.bytesDown - this.#replyBytes);
    if (this.server.observe(candidate, seen)) changed = 'the server';
    const { bytesUp, bytesDown } = seen;
    const sinceMs = now - this.#heard;
    this.#heard = now;
    if (this.link.observe({ bytesUp, bytesDown, ms: seen.uplink + (seen.downlink ?? 0), sinceMs }))
      changed = 'the link';
    return changed;
  }
}
