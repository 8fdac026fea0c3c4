// The kinds of profile that calibration tries on every cut. Which one wins differs from cut to cut and cannot be told in
// advance: narrow signed features want the transforms, sparse ones after a ReLU often none.

export interface Recipe {
  name: string;
  /**
   * Metric in which the channel transform decorrelates, or no channel transform. `identity`: squared error counts alike;
   * `shrunk`: half the tail's Fisher metric, half its diagonal; `fisher`: the metric itself.
   */
  metric: 'none' | 'identity' | 'shrunk' | 'fisher';
  /** Block transform or none. */
  blocks: boolean;
  /** Steps per frequency go with sensitivity to minus half this power. */
  weightExponent: number;
  /** How tables are chosen. */
  contexts: 'classes' | 'neighbours';
  /** Rounding offset in 1/256. */
  deadZone: number;
}

const RECIPES: readonly Recipe[] = [
  { name: 'klt', metric: 'identity', blocks: true, weightExponent: 0, contexts: 'classes', deadZone: 85 },
  {
    name: 'klt-shrunk',
    metric: 'shrunk',
    blocks: true,
    weightExponent: 0.3,
    contexts: 'classes',
    deadZone: 85,
  },
  {
    name: 'klt-fisher',
    metric: 'fisher',
    blocks: true,
    weightExponent: 1,
    contexts: 'classes',
    deadZone: 85,
  },
  { name: 'dct', metric: 'none', blocks: true, weightExponent: 0.3, contexts: 'classes', deadZone: 85 },
  // Where the tail averages over the plane, hardly anything but the lowest frequencies counts.
  {
    name: 'dct-sharp',
    metric: 'none',
    blocks: true,
    weightExponent: 1,
    contexts: 'classes',
    deadZone: 85,
  },
  // Small activations after a ReLU count by their number: most of them are better rounded up than dropped.
  {
    name: 'spatial',
    metric: 'none',
    blocks: false,
    weightExponent: 0,
    contexts: 'neighbours',
    deadZone: 176,
  },
];

/** What is added to the diagonal of a metric, as a share of its mean: no direction is free. */
export const RIDGE = { identity: 0, shrunk: 0.3, fisher: 0.1 } as const;

/**
 * Cuts of more channels get no channel transform: it costs a multiplication per channel for every element, at 512 channels as
 * much as the layers around it, and its profile a megabyte.
 */
const MOST_MIXED_CHANNELS = 256;

/** The recipes that are worth trying on a cut of so many channels. */
export const recipesFor = (channels: number): readonly Recipe[] =>
  RECIPES.filter(({ metric }) => metric === 'none' || channels <= MOST_MIXED_CHANNELS);
