// What a session tells of its choices: the ways it weighed, the one it took, and what the rivals would send. Types only.
import type { Report } from './resultTypes.ts';

/** A way of computing, with what the planner expects of it now. */
export interface PlanAlternative {
  plan: 'split' | 'local' | 'remote';
  cut?: string;
  /** Codec where it splits; `jpeg`, `webp` or, for tensors, `raw` where the input travels. */
  preset?: string;
  /** Of the picture that travels, 0…1. */
  quality?: number;
  predictedMs: number;
  /** Mean wall clock of its answers, where there were any. */
  observedMs?: number;
  /** Frame up. */
  bytes: number;
  /** Share of answers that equal the whole model's, as calibrated; undefined where nobody did. */
  accuracy?: number;
}

/** What the planner chose last, and why. */
export interface PlanReport {
  ran: Report['ran'];
  cut?: string;
  /** As that of an alternative. */
  preset?: string;
  /** Of the picture that travelled, 0…1. */
  quality?: number;
  /** One sentence. */
  why: string;
  /** The fastest expected first. */
  alternatives: PlanAlternative[];
}

/** Bytes of the alternatives for one picture. `jpeg` and `webp` are whole frames, as the remote plan would send them. */
export interface Rivals {
  /** The feature at the session's cut. */
  rawFloat32: number;
  gzipFp16: number;
  /** The picture cropped and scaled to the model's input, as uploads. */
  jpeg: number;
  webp?: number;
  /** The file as it was given, where it was a file. */
  original?: number;
}
