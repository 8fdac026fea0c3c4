import { expect, test } from 'vitest';
import { parseSettings, settingsQuery } from './settings.ts';

const plain = parseSettings('', null);

test('the address bar wins over what was remembered', () => {
  const remembered = JSON.stringify({ model: 'old', preset: 'raw', device: 'wasm' });
  const s = parseSettings('?model=new&cut=relu2', remembered);
  expect(s).toEqual({ ...plain, model: 'new', cut: 'relu2', preset: 'raw', device: 'wasm' });
});

test('unknown values and broken storage fall back to the defaults', () => {
  expect(parseSettings('?preset=zip&mode=sideways&device=abacus', '{"mode":3')).toEqual(plain);
  expect(parseSettings('', 'null')).toEqual(plain);
  expect(parseSettings('', '{"mode":3,"cut":["a"]}')).toEqual(plain);
});

test('a server address comes from the address bar only', () => {
  expect(parseSettings('', '{"endpoint":"https://elsewhere.example"}').endpoint).toBe('');
  expect(parseSettings('?endpoint=https://tail.example', null).endpoint).toBe('https://tail.example');
});

test('settings survive the way through the query string', () => {
  const s = parseSettings('?model=m%C3%BC&cut=a%2Bb&preset=slicer-fine&mode=only-local&device=wasm', null);
  expect(parseSettings(settingsQuery(s), null)).toEqual(s);
  expect(settingsQuery(plain)).toBe('');
});
