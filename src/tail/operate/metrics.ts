// What the tail counts. Stages and requests are pushed here by those who do the work; gauges are read when asked for.

/** One request, however it came. */
export interface Answering {
  transport: 'http' | 'websocket' | 'webtransport' | 'grpc';
  /** `ok` or the code of the error. */
  code: string;
  ms: number;
  bytesIn: number;
  bytesOut: number;
}

export interface TailMetrics {
  stage(stage: 'decode' | 'queue' | 'tail' | 'encode', ms: number): void;
  answered(request: Answering): void;
  /** Requests that ran together. */
  batch(size: number): void;
}

export const noMetrics: TailMetrics = { stage() {}, answered() {}, batch() {} };
