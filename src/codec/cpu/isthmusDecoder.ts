// From the payload of family `isthmus` to quantised coefficients, lane by lane: each symbol tells the table of the next ones.
// Equals the loop of codec/reference/decodeIsthmus.ts. Nothing is dequantised here.
import { NEIGHBOUR_TABLES, TOKENS } from '../profile.ts';
import type { IsthmusHeader, IsthmusSetup } from '../reference/isthmusSetup.ts';
import { MAGNITUDE_CAP } from '../reference/isthmusSymbols.ts';
import { indexStream } from '../reference/rans.ts';
import { damaged } from '../reference/slicerLayout.ts';
import { laneBounds } from './isthmusCoder.ts';
import {
  classRow,
  geometryOf,
  type NeighbourGeometry,
  neighbourRows,
  newNeighbourRows,
  TABLE_OF_ENERGY,
  tableOfClass,
} from './isthmusContexts.ts';
import { slotsOfTable, wordsFrom } from './ransLanes.ts';

const LOWEST = 0x10000;
const SLOTS = 4096;
/** Stands for every symbol of a table that was not sent. */
const NO_SYMBOL = 255;
const NO_CLASSES = new Uint8Array(0);

/** What all lanes share. */
interface Source {
  words: Uint16Array;
  /** 4096 per table, as `slotsOfTable` gives them. */
  slots: Uint32Array;
  /** Bits of a sign: 1 if SIGNED. */
  sign: number;
  setup: IsthmusSetup;
  /** Table of each class; none with neighbours. */
  tables?: Uint8Array;
  geometry: NeighbourGeometry;
  /** Capped magnitudes of the geometry's window; not used with classes. */
  sizes: Uint8Array;
  q: Int16Array;
}

/**
 * Needs no memory that grows with the tensor but `q`: while it works, the coefficients are halfwords in the first half of it, and
 * what is kept of neighbours (at most the window and a row, so two bytes a coefficient) is in the second.
 *
 * @param q zeros; the P' planes at its beginning become whole numbers within ±4109
 * @throws IsthmusError FRAME_INVALID for a stream that no encoder makes
 */
export function decodeSymbols(
  payload: Uint8Array,
  { lanes, sent, shift }: IsthmusHeader,
  setup: IsthmusSetup,
  signed: boolean,
  q: Int32Array,
): void {
  const { states, firstByte, starts } = indexStream(payload, lanes);
  const { rows, columns } = setup.view;
  const geometry = geometryOf(setup);
  const source: Source = {
    words: wordsFrom(payload, firstByte),
    slots: sent ? slotsOfSent(sent) : knownSlots(setup.tables),
    sign: signed ? 1 : 0,
    setup,
    ...(setup.classes && { tables: tableOfClass(shift, setup) }),
    geometry,
    sizes: new Uint8Array(
      q.buffer,
      q.byteOffset + 2 * q.length,
      setup.classes ? 0 : (geometry.window + 1) * columns,
    ),
    q: new Int16Array(q.buffer, q.byteOffset, q.length),
  };
  const bounds = laneBounds(lanes, setup.codedPlanes * rows);
  for (let lane = 0; lane < lanes; lane++)
    decodeLane(source, states[lane]!, starts[lane]!, starts[lane + 1]!, bounds[lane]!, bounds[lane + 1]!);
  for (let i = q.length; i-- > 0; ) q[i] = source.q[i]!; // from behind: a word covers halfwords that have been read
}

/** One lane, everything that changes in local variables. @param last one past its last row */
function decodeLane(
  { words, slots, sign, setup, tables, geometry, sizes, q }: Source,
  state: number,
  firstWord: number,
  lastWord: number,
  first: number,
  last: number,
): void {
  const { columns } = geometry;
  const classes = setup.classes ?? NO_CLASSES;
  const width = tables ? columns : geometry.edgeColumns;
  const mw = setup.map[1];
  const near = newNeighbourRows();
  let x = state | 0; // 32 bits, kept as a signed number
  let word = firstWord;
  for (let row = first, at = first * columns; row < last; row++) {
    let place = 0;
    let rowOfClasses = 0;
    if (tables) rowOfClasses = classRow(row, setup);
    else neighbourRows(geometry, row, first, near);
    const { own, up, before1, before2, before3 } = near;
    for (let block = 0; block < columns; block += width) {
      let left = 0;
      let corner = 0;
      for (let i = block; i < block + width; i++, at++) {
        let table: number;
        if (tables) {
          table = tables[classes[rowOfClasses + place]!]!;
          place = place + 1 === mw ? 0 : place + 1;
        } else {
          const above = sizes[up + i]!;
          const before = 2 * sizes[before1 + i]! + sizes[before2 + i]! + sizes[before3 + i]!;
          table = TABLE_OF_ENERGY[3 * (above + left) + corner + before]!;
          corner = above;
          left = 0;
          sizes[own + i] = 0;
        }
        const slot = slots[(table << 12) | (x & 4095)]!;
        x = (Math.imul(((slot >>> 8) & 4095) + 1, x >>> 12) + (slot >>> 20)) | 0;
        if (x >>> 16 === 0) {
          if (word === lastWord) throw damaged('a lane has too few words');
          x = (x << 16) | words[word++]!;
        }
        let magnitude = slot & 0xff;
        if (magnitude === 0) continue;
        let bits = sign;
        if (magnitude > 15) {
          if (magnitude === NO_SYMBOL) throw damaged('it uses a frequency table that was not sent');
          bits += magnitude - 15;
        }
        if (bits > 0) {
          const raw = (x & 4095) >>> (12 - bits);
          x = ((x >>> 12) << (12 - bits)) | (x & ((1 << (12 - bits)) - 1)) | 0;
          if (x >>> 16 === 0) {
            if (word === lastWord) throw damaged('a lane has too few words');
            x = (x << 16) | words[word++]!;
          }
          if (magnitude > 15) magnitude = 14 + (1 << (magnitude - 15)) + (raw >> sign);
          q[at] = sign !== 0 && (raw & 1) !== 0 ? -magnitude : magnitude;
        } else q[at] = magnitude;
        if (tables) continue;
        left = Math.min(magnitude, MAGNITUDE_CAP);
        sizes[own + i] = left;
      }
    }
  }
  if (word !== lastWord) throw damaged('a lane has words left over');
  if (x !== LOWEST) throw damaged('a lane ends in a wrong state');
}

/** @param slots 4096 per table, overwritten */
function slotsOfTables(tables: Uint16Array, slots: Uint32Array): Uint32Array {
  slots.fill(NO_SYMBOL);
  for (let k = 0; k < tables.length / TOKENS; k++) {
    const table = tables.subarray(k * TOKENS, (k + 1) * TOKENS);
    if (table.some((frequency) => frequency > 0))
      slotsOfTable(table, slots.subarray(k * SLOTS, (k + 1) * SLOTS));
  }
  return slots;
}

let sentSlots: Uint32Array | undefined;

/** The same for tables of one tensor, in memory that is kept: a frame may have 64 such tensors. */
function slotsOfSent(tables: Uint16Array): Uint32Array {
  sentSlots ??= new Uint32Array(SLOTS * NEIGHBOUR_TABLES);
  return slotsOfTables(tables, sentSlots);
}

const kept = new WeakMap<Uint16Array, Uint32Array>();

/** The same for tables that stay: those of the format and of profiles. */
function knownSlots(tables: Uint16Array): Uint32Array {
  const known = kept.get(tables);
  if (known) return known;
  const slots = slotsOfTables(tables, new Uint32Array((SLOTS * tables.length) / TOKENS));
  kept.set(tables, slots);
  return slots;
}
