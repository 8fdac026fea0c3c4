// The WGSL modules of family `rans` and of the entropy coder, put together from files by concatenation.
import feature from '../../../shaders/lib/feature.wgsl?raw';
import number from '../../../shaders/lib/number.wgsl?raw';
import coder from '../../../shaders/lib/ransCoder.wgsl?raw';
import decoding from '../../../shaders/lib/ransDecoding.wgsl?raw';
import laneBindings from '../../../shaders/lib/ransLanes.wgsl?raw';
import price from '../../../shaders/lib/ransPrice.wgsl?raw';
import range from '../../../shaders/lib/ransRange.wgsl?raw';
import state from '../../../shaders/lib/ransState.wgsl?raw';
import take from '../../../shaders/lib/ransTake.wgsl?raw';
import wide from '../../../shaders/lib/wide.wgsl?raw';
import choose from '../../../shaders/rans/choose.wgsl?raw';
import compactLanes from '../../../shaders/rans/compactLanes.wgsl?raw';
import decodeLanes from '../../../shaders/rans/decodeLanes.wgsl?raw';
import encodeLanes from '../../../shaders/rans/encodeLanes.wgsl?raw';
import exact from '../../../shaders/rans/exact.wgsl?raw';
import place from '../../../shaders/rans/place.wgsl?raw';
import quantise from '../../../shaders/rans/quantise.wgsl?raw';
import scatter from '../../../shaders/rans/scatter.wgsl?raw';
import stats from '../../../shaders/rans/stats.wgsl?raw';
import sumRuns from '../../../shaders/rans/sumRuns.wgsl?raw';
import table from '../../../shaders/rans/table.wgsl?raw';

const join = (...files: string[]) => files.join('\n');

/** In the order in which they run. */
export const RANS_SHADERS = {
  stats: join(coder, state, feature, number, stats),
  quantise: join(coder, state, feature, number, range, quantise),
  choose: join(coder, state, wide, price, choose),
  exact: join(coder, state, exact),
  table: join(coder, state, wide, number, price, range, table),
  scatter: join(coder, state, scatter),
};

/** In the order in which they run. */
export const CODER_SHADERS = {
  encodeLanes: join(coder, laneBindings, encodeLanes),
  compactLanes: join(coder, laneBindings, compactLanes),
};

/** In the order in which they run. */
export const RANS_DECODER = {
  decodeLanes: join(decoding, take, decodeLanes),
  sumRuns: join(decoding, sumRuns),
  place: join(decoding, place),
};
