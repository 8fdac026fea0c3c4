// Gate: who may come in, from where, and how often. Every way into the tail asks it: HTTP routes, links, gRPC.

/** Whom requests belong to: the subject of a token, or '' where the tail asks for none. */
export type Subject = string;

export interface Gate {
  /** True where requests need a token and links a ticket. */
  readonly closed: boolean;
  /** @param header the value of `Authorization`. @throws IsthmusError UNAUTHENTICATED, FORBIDDEN */
  bearer(header: string | undefined): Promise<Subject>;
  /** A ticket for opening one link, and its milliseconds of life. */
  issue(subject: Subject): { ticket: string; expiresInMs: number };
  /** Uses a ticket up. @throws IsthmusError UNAUTHENTICATED */
  redeem(ticket: string | undefined): Subject;
  /** @param origin of the page that asks; absent for programs that are no page */
  allowsOrigin(origin: string | null | undefined): boolean;
  /** Counts one request. @param address of the client, for those without a subject. @throws IsthmusError RATE_LIMITED */
  admit(subject: Subject, address: string): Promise<void>;
}

/** Everybody, from everywhere, always. */
export const openGate: Gate = {
  closed: false,
  bearer: async () => '',
  issue: () => ({ ticket: '', expiresInMs: 0 }),
  redeem: () => '',
  allowsOrigin: () => true,
  admit: async () => undefined,
};
