// The one way the second decoder says no. A second decoder, written from FORMAT.md alone, shows that the page is
// complete; nothing here or beside it imports Isthmus' own code, and nothing here is meant to be fast.

/** The bytes break FORMAT.md; the message names the rule. */
export class Refused extends Error {}

/** Refuses with the rule's name unless it holds. */
export function demand(holds: boolean, rule: string): asserts holds {
  if (!holds) throw new Refused(rule);
}
