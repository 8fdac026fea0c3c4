// The uniform of all `isthmus` passes, encoder and decoder alike, by the names that isthmusParams.wgsl gives its words.
import { TOKENS } from '../profile.ts';
import type { IsthmusSetup } from '../reference/isthmusSetup.ts';

/** In the order of `Params`. */
const WORDS = [
  'count',
  'first', // the encoder's or decoder's
  'symbols',
  'rows',
  'columns',
  'area',
  'stride',
  'channels',
  'rank',
  'batches',
  'blockRows',
  'blockColumns',
  'mapRows',
  'mapColumns',
  'exponent',
  'stepRule',
  'stepValue',
  'deadZone',
  'shift',
  'tables',
  'lanesLog2',
  'lines',
  'classShift',
  'rhoOne',
  'rhoMore',
  'lowest',
  'highest',
  'signBits',
  'sumsAt',
  'wordsAt',
] as const;

/** What is left out is 0; negative numbers become their two's complement. */
export type UniformWords = Partial<Record<(typeof WORDS)[number], number>>;

export function uniformWords(words: UniformWords): Uint32Array {
  return Uint32Array.from(WORDS, (name) => words[name] ?? 0);
}

/** What follows from shape and profile. */
export function geometryOf(setup: IsthmusSetup, lanes: number): UniformWords {
  const { view, block, map, codedPlanes } = setup;
  // Without means nothing depends on the channel, and one is as good as many.
  const [channels, rank] = setup.means ? [setup.channels, setup.rank] : [1, 1];
  return {
    rows: view.rows,
    columns: view.columns,
    area: view.rows * view.columns,
    channels,
    rank,
    batches: view.planes / channels,
    blockRows: block[0],
    blockColumns: block[1],
    mapRows: map[0],
    mapColumns: map[1],
    tables: setup.tables.length / TOKENS,
    lanesLog2: Math.log2(lanes),
    lines: codedPlanes * view.rows,
  };
}
