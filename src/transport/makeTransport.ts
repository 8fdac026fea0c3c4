// From the options of a session to its transport. Opens nothing yet.
import { autoTransport } from './auto.ts';
import { fetchTransport } from './fetch.ts';
import { LinkKeeper, type LinkKeeperOptions } from './linkKeeper.ts';
import type { Transport, TransportKind } from './transport.ts';

export type TransportChoice = 'auto' | TransportKind;

export interface TransportOptions extends Omit<LinkKeeperOptions, 'kinds'> {
  /** `https://host/models/NAME`, where fetch sends. */
  model: string;
}

/** @param choice a kind of link means that one and nothing else; `auto` whatever works, fetch in the worst case */
export function makeTransport(choice: TransportChoice, options: TransportOptions): Transport {
  const { model, ...links } = options;
  const fetch = () => fetchTransport(model, options.token);
  if (choice === 'fetch') return fetch();
  if (choice === 'auto') return autoTransport(new LinkKeeper(links), fetch());
  return autoTransport(new LinkKeeper({ ...links, kinds: [choice] }), undefined);
}
