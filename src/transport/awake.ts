// When a page had better look again at once: the network is back, the tab is shown, or the page came out of the browser's memory.
// Hidden tabs get their timers late, or not at all. In Node nothing of this ever happens. It asks nobody; its callers do.

/**
 * @returns how to stop
 * @example const stop = whenAwake(() => look());
 */
export function whenAwake(awake: () => void): () => void {
  const shown = () => {
    if (globalThis.document.visibilityState === 'visible') awake();
  };
  const restored = (event: Event) => {
    if ((event as PageTransitionEvent).persisted) awake();
  };
  globalThis.addEventListener?.('online', awake);
  globalThis.addEventListener?.('pageshow', restored);
  globalThis.document?.addEventListener('visibilitychange', shown);
  return () => {
    globalThis.removeEventListener?.('online', awake);
    globalThis.removeEventListener?.('pageshow', restored);
    globalThis.document?.removeEventListener('visibilitychange', shown);
  };
}
