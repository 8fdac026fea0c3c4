// What is remembered of races: in memory where there is no localStorage, as here, and in a real store's place.
import { afterEach, expect, test, vi } from 'vitest';
import { byPromise, noteFailure, noteWin } from './winners.ts';

const KINDS = ['webtransport', 'websocket'] as const;
const HOUR = 3600_000;

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** localStorage as the standard says, over a map. */
function store(items = new Map<string, string>()) {
  const getItem = (key: string) => items.get(key) ?? null;
  const setItem = (key: string, value: string) => void items.set(key, value);
  vi.stubGlobal('localStorage', { getItem, setItem });
  return items;
}

test.each(['memory', 'store'])(
  'the winner goes first for a day, who failed last for ten minutes: %s',
  (where) => {
    if (where === 'store') store();
    vi.useFakeTimers({ now: 1e12 });
    const tail = `https://${where}.example`;
    expect(byPromise(tail, KINDS)).toEqual(['webtransport', 'websocket']);
    noteFailure(tail, 'webtransport');
    expect(byPromise(tail, KINDS)).toEqual(['websocket', 'webtransport']);
    expect(byPromise('https://another.example', KINDS)).toEqual(['webtransport', 'websocket']);
    vi.advanceTimersByTime(HOUR / 5);
    expect(byPromise(tail, KINDS)).toEqual(['webtransport', 'websocket']);
    noteWin(tail, 'websocket');
    vi.advanceTimersByTime(23 * HOUR);
    expect(byPromise(tail, KINDS)).toEqual(['websocket', 'webtransport']);
    noteFailure(tail, 'websocket');
    expect(byPromise(tail, KINDS)).toEqual(['webtransport', 'websocket']);
    noteWin(tail, 'websocket');
    vi.advanceTimersByTime(25 * HOUR);
    expect(byPromise(tail, KINDS)).toEqual(['webtransport', 'websocket']);
  },
);

test('a store that is damaged, full or forbidden is as good as none', () => {
  for (const [i, text] of [
    '',
    '{',
    '7',
    '[1,null,["a"],["b",null]]',
    '[["https://x4.example",{"failed":null}]]',
  ].entries()) {
    const tail = `https://x${i}.example`;
    store(new Map([['isthmus.links', text]]));
    expect(byPromise(tail, KINDS), text).toEqual(['webtransport', 'websocket']);
    noteWin(tail, 'websocket');
    expect(byPromise(tail, KINDS), text).toEqual(['websocket', 'webtransport']);
  }
  const no = () => {
    throw new DOMException('no', 'SecurityError');
  };
  vi.stubGlobal('localStorage', { getItem: no, setItem: no });
  noteWin('https://y.example', 'websocket');
  expect(byPromise('https://y.example', KINDS)).toEqual(['websocket', 'webtransport']);
});

test('what is kept does not grow, and holds no more than origins, kinds and times', () => {
  const items = store();
  for (let i = 0; i < 80; i++) noteWin(`https://h${i}.example `, 'websocket');
  const kept = JSON.parse(items.get('isthmus.links')!) as [string, unknown][];
  expect(kept).toHaveLength(50);
  expect(kept.at(-1)).toEqual([
    'https://h79.example ',
    { won: 'websocket', until: expect.any(Number), failed: {} },
  ]);
});
