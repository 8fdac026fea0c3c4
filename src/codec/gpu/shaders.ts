// The WGSL modules of the encoder, put together from files by concatenation. Nothing is generated and nothing runs here.
// A subgroup variant differs in one file only: it takes the place of scanShared.
import scanShared from '../../../shaders/lib/scanShared.wgsl?raw';
import number from '../../../shaders/lib/slicerNumber.wgsl?raw';
import resolve from '../../../shaders/lib/slicerResolve.wgsl?raw';
import search from '../../../shaders/lib/slicerSearch.wgsl?raw';
import sections from '../../../shaders/lib/slicerSections.wgsl?raw';
import state from '../../../shaders/lib/slicerState.wgsl?raw';
import count from '../../../shaders/slicer/count.wgsl?raw';
import narrow from '../../../shaders/slicer/narrow.wgsl?raw';
import pack from '../../../shaders/slicer/pack.wgsl?raw';
import prefix from '../../../shaders/slicer/prefix.wgsl?raw';
import scatter from '../../../shaders/slicer/scatter.wgsl?raw';
import stats from '../../../shaders/slicer/stats.wgsl?raw';

const join = (...files: string[]) => files.join('\n');

/** Source per pass, in the order in which data flows. */
export const SLICER_SHADERS = {
  stats: join(state, number, stats),
  narrow: join(state, number, search, resolve, narrow),
  count: join(state, number, search, resolve, scanShared, count),
  prefix: join(state, number, prefix),
  scatter: join(state, number, sections, scanShared, scatter),
  pack: join(state, number, sections, pack),
} as const;
