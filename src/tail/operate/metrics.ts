// What the tail counts. Stages and requests are pushed here by those who do the work; gauges are read when asked for.
// prometheus.ts keeps the numbers; without it nothing is kept.

/** One request, however it came. */
interface Answering {
  transport: 'http' | 'websocket' | 'webtransport' | 'grpc';
  /** `ok` or the code of the error. */
  code: string;
  ms: number;
  bytesIn: number;
  bytesOut: number;
}

/** A number, or one for each value of a label. */
type Reading = number | Record<string, number>;

export interface TailMetrics {
  stage(stage: 'decode' | 'queue' | 'tail' | 'encode', ms: number): void;
  answered(request: Answering): void;
  /** Requests that ran together. */
  batch(size: number): void;
  /**
   * Something that has a size at every moment; `read` is called when somebody looks.
   * @param name after `isthmus_`, with its unit: `feature_cache_bytes`
   * @param label name of the label where `read` gives one number for each of its values
   */
  gauge(name: string, help: string, read: () => Reading, label?: string): void;
}

export const noMetrics: TailMetrics = { stage() {}, answered() {}, batch() {}, gauge() {} };
