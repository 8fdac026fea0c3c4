// What a figure of the soak says of itself: the promise, the number to reach, what was measured.
export interface Figure {
  id: string;
  promise: string;
  reach: string;
  measured: string;
  kept: boolean;
}
