// The marks that a page leaves while it loads a model, in a real browser: what counts as a crash, and what does not.
import { afterEach, expect, test } from 'vitest';
import { createSafeStore } from '../head/store/safeStore.ts';
import { type CrashFlag, raiseFlag } from './crashFlag.ts';
import type { KeptThings } from './memory.ts';

const ABOUT = 'https://tail.example/models/crashing';
const PREFIX = `isthmus-loading|${ABOUT}|`;
const marks = () => Object.keys(localStorage).filter((key) => key.startsWith(PREFIX));

const raised: CrashFlag[] = [];
async function raise(kept?: KeptThings): Promise<CrashFlag> {
  const flag = await raiseFlag(ABOUT, kept);
  raised.push(flag!);
  return flag!;
}
afterEach(() => {
  Object.defineProperty(globalThis, 'localStorage', plain);
  Reflect.deleteProperty(document, 'hidden');
  for (const flag of raised.splice(0)) flag.end();
  for (const mark of marks()) localStorage.removeItem(mark);
});
const plain = Object.getOwnPropertyDescriptor(globalThis, 'localStorage')!;

function hide(hidden: boolean): void {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}

test('a tab that was opened in the background leaves no mark until it is shown', async () => {
  hide(true);
  const flag = await raise();
  expect(marks()).toEqual([]);
  hide(false);
  expect(marks()).toHaveLength(1);
  hide(true);
  expect(marks()).toEqual([]);
  hide(false);
  flag.proven();
  expect(marks()).toEqual([]);
});

test('a page that died with two sessions of one address has crashed once', async () => {
  await raise();
  await raise();
  const left = marks();
  expect(left).toHaveLength(2);
  expect((await raise()).crashes).toBe(0); // they live
  for (const flag of raised.splice(0)) flag.end();
  // As a page leaves them whose locks are gone with it; and those of one that died before.
  const earlier = left.map((mark) => mark.replace(PREFIX, `${PREFIX}1`));
  for (const mark of [...left, ...earlier]) localStorage.setItem(mark, '');
  const next = await raise();
  expect(next.crashes).toBe(2);
  next.proven();
  expect(marks().sort()).toEqual(earlier.sort());
  next.end();
  const last = await raise();
  expect(last.crashes).toBe(1);
  last.proven();
  expect(marks()).toEqual([]);
});

test('where there is no localStorage no mark gets lost between two changes', async () => {
  const denied = () => {
    throw new DOMException('denied', 'SecurityError');
  };
  Object.defineProperty(globalThis, 'localStorage', { get: denied, configurable: true });
  const store = createSafeStore('isthmus-crash-test');
  const ids = () => store.get<string[]>(PREFIX);
  const flags = await Promise.all([1, 2, 3].map(() => raise(store)));
  await expect.poll(async () => (await ids())?.length).toBe(3);
  for (const flag of flags) flag.end();
  await expect.poll(ids).toEqual([]);
  await store.set(PREFIX, ['1-dead.1', '1-dead.2']);
  const next = await raise(store);
  expect(next.crashes).toBe(1);
  next.proven();
  await expect.poll(ids).toEqual([]);
});
