import { afterEach, expect, test, vi } from 'vitest';
import { listModels, modelNames, parseAddress } from './tail.ts';

const here = 'http://localhost:8787';
afterEach(() => vi.unstubAllGlobals());

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

test('a tail that asks for a token says so itself; what is no tail is named', async () => {
  vi.stubGlobal('document', new EventTarget());
  const code = (body: unknown, status: number) => {
    vi.stubGlobal('fetch', async () => Response.json(body, { status }));
    return listModels(here, new AbortController().signal).catch((thrown) => thrown.code);
  };
  expect(await code({ error: { code: 'UNAUTHENTICATED', message: 'Send a token.' } }, 401)).toBe(
    'UNAUTHENTICATED',
  );
  expect(await code({ error: { code: 'RATE_LIMITED', message: 'Slower.' } }, 429)).toBe('RATE_LIMITED');
  expect(await code({ error: 'nothing' }, 404)).toBe('NOT_ISTHMUS');
  expect(await code([{ name: 'a' }], 500)).toBe('NOT_ISTHMUS');
  expect(await code([{ name: 'a' }], 200)).toEqual(['a']);
});
