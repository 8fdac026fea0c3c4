// What a figure of the soak says of itself: the promise, the number to reach, what was measured.
export interface Figure {
  id: string;
  promise: string;
  reach: string;
  measured: string;
  /** What holds on any machine, however busy: nothing lost, nothing wrong, nothing left open. */
  sound: boolean;
  /** Whether the figure was reached; never without {@link sound}. */
  kept: boolean;
}
