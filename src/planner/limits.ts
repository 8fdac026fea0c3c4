// Limits: what a run must not exceed, whichever way it is computed, and which of them a forecast would.
import type { Candidate } from './candidates.ts';

/** What is expected of one candidate now. */
export interface Forecast {
  candidate: Candidate;
  /** Milliseconds on average, those included that end at an exit. */
  ms: number;
  /** Of a run that no exit ends: here, on the way, there. */
  deviceMs: number;
  linkMs: number;
  serverMs: number;
  bytes: number;
}

export interface Limits {
  /** Share of pictures that may be answered otherwise than by the whole model. Candidates nobody calibrated pass. */
  maxAccuracyLoss?: number;
  /** Bytes up. */
  maxBytes?: number;
  /** Work of this device, as against battery and heat. */
  maxDeviceMs?: number;
  maxServerMs?: number;
  /** Ranks ways, with a margin of twice what messages deviate by; ends nothing. */
  deadlineMs?: number;
}

/** @param deviationMs mean distance of messages from their prediction. @returns the names of the limits exceeded */
export function exceeded(forecast: Forecast, limits: Limits, deviationMs: number): (keyof Limits)[] {
  const { candidate, deviceMs, linkMs, serverMs, bytes } = forecast;
  const margin = candidate.plan === 'local' ? 0 : 2 * deviationMs;
  const values: Record<keyof Limits, number> = {
    maxAccuracyLoss: candidate.accuracy === undefined ? 0 : 1 - candidate.accuracy,
    maxBytes: bytes,
    maxDeviceMs: deviceMs,
    maxServerMs: serverMs,
    // Of those that cross: that others end at an exit does not help them.
    deadlineMs: deviceMs + linkMs + serverMs + margin,
  };
  return (Object.keys(values) as (keyof Limits)[]).filter(
    (limit) => values[limit] > (limits[limit] ?? Number.POSITIVE_INFINITY),
  );
}
