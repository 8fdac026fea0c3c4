import { expect, test } from 'vitest';
import { modelNames, parseAddress } from './tail.ts';

const here = 'http://localhost:8787';

test('an empty address is the page’s own server', () => {
  expect(parseAddress('  ', here)).toEqual({ base: here });
});

test('servers, prefixes and endpoints are told apart', () => {
  expect(parseAddress('https://tail.example/', here)).toEqual({ base: 'https://tail.example' });
  expect(parseAddress('https://x.example/a/models/', here)).toEqual({ base: 'https://x.example/a' });
  expect(parseAddress('https://x.example/a/models/big%20net/', here)).toEqual({
    base: 'https://x.example/a',
    model: 'big net',
  });
});

test('what is no address is refused with a sentence', () => {
  for (const text of [
    'tail.example',
    'javascript:alert(1)',
    'ftp://x/models/y',
    'https://x/models/%E0%A4%A',
  ]) {
    expect(() => parseAddress(text, here)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  }
});

test('model lists of both forms are read, others are not', () => {
  expect(modelNames({ models: [{ name: 'a' }, { name: 'b' }] })).toEqual(['a', 'b']);
  expect(modelNames([{ name: 'a' }])).toEqual(['a']);
  for (const json of [null, undefined, {}, 'a', [{ id: 1 }], [null]])
    expect(modelNames(json)).toBeUndefined();
});
