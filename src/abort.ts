// What AbortSignal lacks in older browsers, and the error an abort ends in. Shared leaf: every folder may import it.

/**
 * `AbortSignal.any`, which Safari has since 17.4 only. Before, the signals that live on hold what was made of them until one of
 * all fires: whoever calls gives one that does in the end, when the work is over.
 */
export function anySignal(...signals: AbortSignal[]): AbortSignal {
  if (AbortSignal.any) return AbortSignal.any(signals);
  const controller = new AbortController();
  for (const signal of signals) {
    const forward = () => controller.abort(signal.reason);
    if (signal.aborted) forward();
    else signal.addEventListener('abort', forward, { once: true, signal: controller.signal });
  }
  return controller.signal;
}

/** The DOM's AbortError, so that `signal` behaves as it does for fetch. */
export function abortError(signal?: AbortSignal): unknown {
  return signal?.reason ?? new DOMException('The operation was aborted.', 'AbortError');
}
