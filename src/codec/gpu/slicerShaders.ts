// The WGSL modules of family slicer, put together from files by concatenation. Nothing is generated and nothing runs here.
// The variants differ in one file only: scanSubgroup takes the place of scanShared.
import enableSubgroups from '../../../shaders/lib/enableSubgroups.wgsl?raw';
import feature from '../../../shaders/lib/feature.wgsl?raw';
import number from '../../../shaders/lib/number.wgsl?raw';
import scanShared from '../../../shaders/lib/scanShared.wgsl?raw';
import scanSubgroup from '../../../shaders/lib/scanSubgroup.wgsl?raw';
import slicerNumber from '../../../shaders/lib/slicerNumber.wgsl?raw';
import resolve from '../../../shaders/lib/slicerResolve.wgsl?raw';
import search from '../../../shaders/lib/slicerSearch.wgsl?raw';
import sections from '../../../shaders/lib/slicerSections.wgsl?raw';
import state from '../../../shaders/lib/slicerState.wgsl?raw';
import count from '../../../shaders/slicer/count.wgsl?raw';
import decode from '../../../shaders/slicer/decode.wgsl?raw';
import narrow from '../../../shaders/slicer/narrow.wgsl?raw';
import pack from '../../../shaders/slicer/pack.wgsl?raw';
import prefix from '../../../shaders/slicer/prefix.wgsl?raw';
import scatter from '../../../shaders/slicer/scatter.wgsl?raw';
import stats from '../../../shaders/slicer/stats.wgsl?raw';

import type { Tuning } from './tuning.ts';

const join = (...files: string[]) => files.join('\n');

const scanning = (enable: string, scan: string) => ({
  count: join(enable, state, feature, number, slicerNumber, search, resolve, scan, count),
  decode: join(enable, scan, decode),
  scatter: join(enable, state, feature, number, slicerNumber, sections, scan, scatter),
});

const SHARED = {
  stats: join(state, feature, number, slicerNumber, stats),
  narrow: join(state, feature, number, slicerNumber, search, resolve, narrow),
  prefix: join(state, feature, number, slicerNumber, prefix),
  pack: join(state, number, slicerNumber, sections, pack),
  ...scanning('', scanShared),
};
export type SlicerShader = keyof typeof SHARED;
const SUBGROUP: Partial<Record<SlicerShader, string>> = scanning(enableSubgroups, scanSubgroup);

/** Name and source of a pass of the SLICER codec for a way to scan. */
export function slicerShader(file: SlicerShader, scan: Tuning['scan']): { name: string; code: string } {
  const code = scan === 'subgroup' ? SUBGROUP[file] : undefined;
  return code ? { name: `slicer ${file} subgroup`, code } : { name: `slicer ${file}`, code: SHARED[file] };
}
