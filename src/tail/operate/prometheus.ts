// The counters of one tail in Prometheus' text format, in a registry of its own so that two tails in a process stay apart.
// Names begin with `isthmus_`; seconds and bytes are the units, as Prometheus wants it.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { TailMetrics } from './metrics.ts';

export interface PrometheusMetrics extends TailMetrics {
  readonly contentType: string;
  /** Everything, as text. */
  text(): Promise<string>;
}

/** From a tenth of a millisecond, which a small tail takes, to the longest that anybody waits. */
const SECONDS = [0.0001, 0.0003, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30];
const BATCH = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64];

/** @example const metrics = createMetrics(); metrics.stage('tail', 3.2); await metrics.text(); */
export function createMetrics(): PrometheusMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });

  const stages = new Histogram({
    name: 'isthmus_stage_seconds',
    help: 'Time of a request in each stage of the tail',
    labelNames: ['stage'],
    buckets: SECONDS,
    registers,
  });
  const requests = new Counter({
    name: 'isthmus_requests_total',
    help: 'Requests answered; code is ok or that of the error',
    labelNames: ['transport', 'code'],
    registers,
  });
  const latency = new Histogram({
    name: 'isthmus_request_seconds',
    help: 'From the arrival of a request to its last answer',
    labelNames: ['transport', 'code'],
    buckets: SECONDS,
    registers,
  });
  const bytes = new Counter({
    name: 'isthmus_bytes_total',
    help: 'Bytes of requests (in) and replies (out), without headers',
    labelNames: ['transport', 'direction'],
    registers,
  });
  const batches = new Histogram({
    name: 'isthmus_batch_requests',
    help: 'Requests that ran together',
    buckets: BATCH,
    registers,
  });

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    stage: (stage, ms) => stages.observe({ stage }, ms / 1000),
    batch: (size) => batches.observe(size),
    answered({ transport, code, ms, bytesIn, bytesOut }) {
      requests.inc({ transport, code });
      latency.observe({ transport, code }, ms / 1000);
      bytes.inc({ transport, direction: 'in' }, bytesIn);
      bytes.inc({ transport, direction: 'out' }, bytesOut);
    },
    gauge(name, help, read, label) {
      new Gauge({
        name: `isthmus_${name}`,
        help,
        labelNames: label === undefined ? [] : [label],
        registers,
        collect() {
          this.reset();
          const reading = read();
          if (typeof reading === 'number') this.set(reading);
          else for (const [value, n] of Object.entries(reading)) this.set({ [label!]: value }, n);
        },
      });
    },
  };
}
