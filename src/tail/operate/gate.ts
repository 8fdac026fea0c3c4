// Gate: who may come in, from where, and how often. Every way into the tail asks it: HTTP routes, links, gRPC. The rules
// of a tail on the internet are in createGate.ts; here is what they look like from outside, and the gate without rules.

/**
 * Whom requests belong to: the name in a token, or '' where the tail asks for none. Where a token is for certain models
 * only, their names follow, one a line; so a subject carries its own limits wherever it goes. {@link subjectName}
 */
export type Subject = string;

/** A subject, and for how long and by what it came in: a link asks again whether that still counts. */
export interface Permit {
  readonly subject: Subject;
  /** When its token ends, milliseconds since the epoch; absent for never. */
  readonly until?: number | undefined;
  /** What the gate let it in by; only the gate reads it. */
  readonly by?: string | undefined;
  /** When it was given, milliseconds since the epoch. */
  readonly at?: number | undefined;
}

export interface Gate {
  /** True where requests need a token and links a ticket. */
  readonly closed: boolean;
  /**
   * @param header the value of `Authorization`
   * @param address of the client: a wrong token counts as a request from there, so that nobody can guess for ever
   * @throws IsthmusError UNAUTHENTICATED; RATE_LIMITED; OVERLOADED when keys cannot be had
   */
  bearer(header: string | undefined, address?: string): Promise<Subject>;
  /** The same with all that is known of the token; a gate without it gives permits that do not end. */
  permit?(header: string | undefined, address?: string): Promise<Permit>;
  /** False once the token has ended, or the rules of the gate have changed and let it in no more. Absent: always true. */
  holds?(permit: Permit): boolean;
  /** A ticket for opening one link, and its milliseconds of life. */
  issue(permit: Permit): { ticket: string; expiresInMs: number };
  /** Uses a ticket up. @throws IsthmusError UNAUTHENTICATED */
  redeem(ticket: string | undefined): Permit;
  /**
   * @param origin of the page that asks; absent for programs that are no page
   * @param host the `Host` (or `:authority`) that was asked: a page that this host served itself may always call it
   */
  allowsOrigin(origin: string | null | undefined, host?: string | undefined): boolean;
  /**
   * False for a name under which this tail is not to be asked. Absent: it answers under every name.
   * @param host the `Host` (or `:authority`) that was asked
   */
  allowsHost?(host: string | undefined): boolean;
  /** @throws IsthmusError FORBIDDEN where the subject's token is for other models */
  allowsModel(subject: Subject, model: string): void;
  /** Counts one request. @param address of the client, for those without a subject. @throws IsthmusError RATE_LIMITED */
  admit(subject: Subject, address: string): Promise<void>;
  /**
   * Address of the client behind proxies that are trusted.
   * @param remote of the socket
   * @param forwardedFor the value of `X-Forwarded-For`, believed only when it comes from such a proxy
   */
  addressOf(remote: string | undefined, forwardedFor: string | undefined): string;
}

/** Everybody, from everywhere, always. */
export const openGate: Gate = {
  closed: false,
  bearer: async () => '',
  issue: () => ({ ticket: '', expiresInMs: 0 }),
  redeem: () => ({ subject: '' }),
  allowsOrigin: () => true,
  allowsModel: () => undefined,
  admit: async () => undefined,
  addressOf: (remote) => remote ?? '',
};

/** @throws IsthmusError as `bearer` */
export async function permitOf(gate: Gate, header: string | undefined, address?: string): Promise<Permit> {
  return gate.permit ? gate.permit(header, address) : { subject: await gate.bearer(header, address) };
}

/** What logs and limits call a subject: its name without the models. */
export function subjectName(subject: Subject): string {
  return subject.split('\n', 1)[0]!;
}

/** @param models names it may use, none of them empty; absent for all */
export function subjectOf(name: string, models?: readonly string[]): Subject {
  return models ? `${name}\n${models.join('\n')}` : name;
}

/** Names of the models that a subject may use; undefined for all. */
export function subjectModels(subject: Subject): string[] | undefined {
  const [, ...models] = subject.split('\n');
  return subject.includes('\n') ? models.filter(Boolean) : undefined;
}
