// How often one client may ask: so many requests a second on average, and so many at once. Kept per subject, or per
// address for those without one. Each tail counts for itself.
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { IsthmusError } from '../../errors.ts';

export interface RateLimit {
  /** Requests a second, on average. */
  perSecond: number;
  /** Requests at once, after a pause. Default: those of two seconds. */
  burst?: number | undefined;
}

/** @throws IsthmusError RATE_LIMITED with the seconds to wait */
export type CountRequest = (key: string) => Promise<void>;

/**
 * `burst` requests in every window of `burst / perSecond` seconds, the window opened by the first of them.
 * @example const count = rateLimit({ perSecond: 50, burst: 200 });
 */
export function rateLimit({ perSecond, burst }: RateLimit): CountRequest {
  const points = Math.max(1, Math.floor(burst ?? 2 * perSecond));
  const limiter = new RateLimiterMemory({ points, duration: points / perSecond });
  return async (key) => {
    try {
      await limiter.consume(key);
    } catch (thrown) {
      if (!(thrown instanceof RateLimiterRes)) throw thrown;
      const seconds = Math.max(0.001, thrown.msBeforeNext / 1000);
      throw new IsthmusError(
        'RATE_LIMITED',
        `More than ${points} requests within ${round(points / perSecond)} s. Ask again in ${round(seconds)} s, or ask the operator for a larger share.`,
        { retryAfter: seconds },
      );
    }
  };
}

const round = (seconds: number): number => Math.ceil(seconds * 10) / 10;
