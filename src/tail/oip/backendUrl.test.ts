// Addresses of engines and templates of model names: what is taken, and what is refused in words.
import { expect, test } from 'vitest';
import { modelNames, parseBackendUrl } from './backendUrl.ts';

test('addresses and templates', () => {
  expect(parseBackendUrl('oip+grpc://triton:8001')).toEqual({
    protocol: 'grpc',
    tls: false,
    authority: 'triton:8001',
    path: '',
  });
  expect(parseBackendUrl('oip+https://gw.example/serving/')).toEqual({
    protocol: 'http',
    tls: true,
    authority: 'gw.example:443',
    path: '/serving',
  });
  expect(parseBackendUrl('oip+http://[::1]:80').authority).toBe('[::1]:80');
  const wrong = [
    'http://a:1',
    'oip+grpc://a',
    'oip+grpc://a:1/x',
    'oip+http://u:p@a:1',
    'oip+http://a:1?x',
    'oip+http://',
    'oip+ftp://a:1',
  ];
  for (const url of wrong)
    expect(() => parseBackendUrl(url)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
  const cut = { name: 'a+b', index: 2 };
  expect(modelNames('{model}@{cut}')('m', cut)).toBe('m@a+b');
  expect(modelNames('x-{model}-{index}')('m', cut)).toBe('x-m-2');
  expect(modelNames('{model}_{cut}')('m', undefined)).toBe('m');
  for (const template of ['', '{model}', '{cut}', '{model}{cut}{other}', '{model}{cut'])
    expect(() => modelNames(template)).toThrow(expect.objectContaining({ code: 'OPTION_INVALID' }));
});
