// The WGSL modules of the `isthmus` encoder and decoder, put together from files by concatenation. Variants differ in the file that ends
// a pass: what becomes of coefficients, and where the tables of the entropy coder come from.
import columns from '../../../shaders/isthmus/columns.wgsl?raw';
import decodeLanes from '../../../shaders/isthmus/decodeLanes.wgsl?raw';
import emit from '../../../shaders/isthmus/emit.wgsl?raw';
import fix from '../../../shaders/isthmus/fix.wgsl?raw';
import items from '../../../shaders/isthmus/items.wgsl?raw';
import lanes from '../../../shaders/isthmus/lanes.wgsl?raw';
import mix from '../../../shaders/isthmus/mix.wgsl?raw';
import rows from '../../../shaders/isthmus/rows.wgsl?raw';
import tables from '../../../shaders/isthmus/tables.wgsl?raw';
import unmix from '../../../shaders/isthmus/unmix.wgsl?raw';
import feature from '../../../shaders/lib/feature.wgsl?raw';
import before from '../../../shaders/lib/isthmusBefore.wgsl?raw';
import context from '../../../shaders/lib/isthmusContext.wgsl?raw';
import decoding from '../../../shaders/lib/isthmusDecoding.wgsl?raw';
import dequantise from '../../../shaders/lib/isthmusDequantise.wgsl?raw';
import float from '../../../shaders/lib/isthmusFloat.wgsl?raw';
import item from '../../../shaders/lib/isthmusItem.wgsl?raw';
import keep from '../../../shaders/lib/isthmusKeep.wgsl?raw';
import params from '../../../shaders/lib/isthmusParams.wgsl?raw';
import quantise from '../../../shaders/lib/isthmusQuantise.wgsl?raw';
import state from '../../../shaders/lib/isthmusState.wgsl?raw';
import counted from '../../../shaders/lib/isthmusTablesCounted.wgsl?raw';
import known from '../../../shaders/lib/isthmusTablesKnown.wgsl?raw';
import shared from '../../../shaders/lib/isthmusTablesShared.wgsl?raw';
import weights from '../../../shaders/lib/isthmusWeights.wgsl?raw';
import number from '../../../shaders/lib/number.wgsl?raw';
import coder from '../../../shaders/lib/ransCoder.wgsl?raw';
import laneBindings from '../../../shaders/lib/ransLanes.wgsl?raw';
import stats from '../../../shaders/rans/stats.wgsl?raw';

const join = (...files: string[]) => files.join('\n');
const common = join(params, number, state);
const ofDecoder = join(params, decoding);

export const ISTHMUS_SHADERS = {
  stats: join(common, feature, stats), // the same statistics as those of family `rans`
  fix: join(common, feature, fix),
  mix: join(common, mix),
  rows: join(common, rows),
  columns: join(common, before, weights, quantise, columns),
  coefficients: join(common, before, keep, columns),
  items: join(common, item, context, known, items),
  itemsCounted: join(common, item, context, counted, items),
  itemsShared: join(common, item, context, shared, items),
  tables: join(common, item, coder, tables),
  lanes: join(params, coder, laneBindings, lanes),
};

export const ISTHMUS_DECODER = {
  decodeLanes: join(ofDecoder, context, decodeLanes),
  restoreColumns: join(ofDecoder, weights, dequantise, columns),
  restoreRows: join(ofDecoder, rows),
  unmix: join(ofDecoder, float, unmix),
  emit: join(ofDecoder, float, emit),
};
