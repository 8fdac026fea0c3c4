// Every setting of `isthmus serve`, once: name, type, bounds, default, what it is for. Configuration file, environment,
// flags and the table in docs/operations.md all follow from this schema: maxBody is ISTHMUS_MAX_BODY and --max-body.
import * as v from 'valibot';

const must = <T>(holds: (value: T) => boolean, words: string) => v.check(holds, `must be ${words}`);
const whole = (low: number, high: number) =>
  v.pipe(
    v.number('must be a number'),
    must((n) => Number.isInteger(n) && n >= low && n <= high, `a whole number from ${low} to ${high}`),
  );
const above0 = (high: number) =>
  v.pipe(
    v.number('must be a number'),
    must((n) => n > 0 && n <= high, `a number above 0 and at most ${high}`),
  );
const text = () => v.pipe(v.string('must be text'), v.nonEmpty('must not be empty'));
const list = () => v.array(text(), 'must be a list of texts');
const flag = () => v.boolean('must be true or false');
const about = v.description;
/** Never on the command line, where every user of the machine reads it, and never printed. */
const secret = <T>() => v.metadata<T, { secret: true }>({ secret: true });
/** Read again on SIGHUP. */
const live = <T>() => v.metadata<T, { live: true }>({ live: true });

const name = v.pipe(v.string(), v.regex(/^[^\p{Cc}]{1,256}$/u));
const tokenEntry = v.union(
  [
    v.pipe(
      v.string(),
      v.regex(/^[^:\p{Cc}]{1,256}:\S+$/u),
      v.transform((entry) => ({
        subject: entry.slice(0, entry.indexOf(':')),
        token: entry.slice(entry.indexOf(':') + 1),
      })),
    ),
    v.strictObject({
      subject: name,
      token: v.optional(v.string()),
      sha256: v.optional(v.string()),
      models: v.optional(v.array(name)),
    }),
  ],
  'must be "NAME:TOKEN" or {"subject", "token" or "sha256", "models"}',
);
/** Also the content of `tokensFile`. */
export const TOKENS = v.array(tokenEntry, 'must be a list of tokens');

/** All are optional; where one has a default, it is here. */
export const SETTINGS = v.strictObject({
  models: v.optional(
    v.pipe(text(), about('folder of model folders, or one model folder, as `isthmus split` makes them')),
  ),
  watch: v.optional(v.pipe(flag(), about('take in models that change while they are served')), true),
  port: v.optional(v.pipe(whole(0, 65535), about('port; 0 takes a free one')), 8787),
  grpcPort: v.optional(
    v.pipe(whole(0, 65535), about('port of the Open Inference Protocol over gRPC (none when absent)')),
  ),
  host: v.optional(
    v.pipe(text(), about('address to listen on; 0.0.0.0 answers on every network')),
    '127.0.0.1',
  ),
  cert: v.optional(
    v.pipe(
      text(),
      about('PEM file of a certificate: the port speaks TLS then, with HTTP/2 and WebTransport'),
    ),
  ),
  key: v.optional(v.pipe(text(), about('PEM file of the key of `cert`'))),
  devCert: v.optional(
    v.pipe(
      text(),
      about('folder of a certificate for development, made and renewed there; instead of `cert`'),
    ),
  ),
  webtransport: v.optional(
    v.pipe(flag(), about('offer WebTransport on the UDP port, where there is a certificate')),
    true,
  ),
  app: v.optional(v.pipe(text(), about('folder of a built web app to serve on the same origin'))),
  cors: v.optional(
    v.pipe(list(), live(), about("origins whose pages may call, or '*'; pages of this host always may")),
  ),
  allowedHosts: v.optional(
    v.pipe(
      list(),
      live(),
      about(
        "host names under which it answers, .example for all below, '*' for any (when absent: on a loopback host those of this machine, else any); addresses always",
      ),
    ),
  ),
  maxBody: v.optional(
    v.pipe(above0(1024), about('largest request in MiB (8 for frames and 20 for pictures when absent)')),
  ),
  threads: v.optional(
    v.pipe(whole(1, 1024), about('threads for inference (the cores of this machine when absent)')),
  ),
  maxQueue: v.optional(
    v.pipe(whole(1, 100_000), about('requests that may wait for a thread; more are refused')),
  ),
  maxBatch: v.optional(
    v.pipe(whole(1, 1024), about('requests that may run together, where the model has a batch dimension')),
    16,
  ),
  batchWait: v.optional(
    v.pipe(
      v.number('must be a number'),
      must((n) => n >= 0 && n <= 1000, 'a number from 0 to 1000'),
      about('milliseconds that a request may wait for others to run with'),
    ),
    2,
  ),
  featureCache: v.optional(
    v.pipe(
      whole(0, 65_536),
      about('MiB of features that clients may have kept for later tasks; 0 keeps none'),
    ),
    64,
  ),
  featureSeconds: v.optional(v.pipe(above0(86_400), about('seconds that a feature is kept')), 60),
  modelGrace: v.optional(
    v.pipe(above0(86_400), about('seconds for which a version that was replaced is still answered')),
    300,
  ),
  backend: v.optional(
    v.pipe(
      text(),
      about(
        'engine to forward to: oip+grpc://HOST:PORT or oip+http://HOST:PORT; onnxruntime here when absent',
      ),
    ),
  ),
  backendModel: v.optional(
    v.pipe(text(), about("the engine's name for the segments behind a cut, of {model}, {cut} and {index}")),
    '{model}@{cut}',
  ),
  backendToken: v.optional(v.pipe(text(), secret(), about('token that the engine asks for'))),
  headersTimeout: v.optional(v.pipe(above0(3600), about('seconds that a client has for its headers')), 10),
  requestTimeout: v.optional(
    v.pipe(
      above0(3600),
      about('seconds that a client has for headers and body together, and for a message of a link'),
    ),
    60,
  ),
  maxConnections: v.optional(
    v.pipe(whole(1, 1_000_000), about('TCP connections on `port`; more are dropped')),
    8192,
  ),
  maxLinks: v.optional(
    v.pipe(whole(1, 1_000_000), about('links that may be open; more are refused with 503')),
    2048,
  ),
  maxLinksPerAddress: v.optional(
    v.pipe(whole(1, 1_000_000), about('and of one address; behind proxies set `trustedProxies`')),
    256,
  ),
  grace: v.optional(
    v.pipe(above0(86_400), about('seconds that running requests have to end after SIGTERM')),
    10,
  ),
  quiet: v.optional(v.pipe(flag(), about('no line per request')), false),
  metrics: v.optional(
    v.pipe(
      v.picklist(['local', 'public', 'off'], 'must be local, public or off'),
      about('who reads /metrics: local is this machine and holders of a token'),
    ),
    'local',
  ),
  tokens: v.optional(
    v.pipe(
      TOKENS,
      secret(),
      live(),
      about('fixed tokens, NAME:TOKEN each; with tokens or JWTs requests need one'),
    ),
  ),
  tokensFile: v.optional(v.pipe(text(), live(), about('JSON file with a list of tokens, as `tokens`'))),
  jwtKeys: v.optional(
    v.pipe(text(), live(), about('JWKS file or https address: public keys of those who sign JWTs')),
  ),
  jwtSecret: v.optional(
    v.pipe(text(), secret(), live(), about('or a shared secret of 32 bytes and more (HS256 …)')),
  ),
  jwtIssuer: v.optional(v.pipe(text(), live(), about('`iss` that a JWT must have'))),
  jwtAudience: v.optional(v.pipe(text(), live(), about('`aud` that a JWT must have'))),
  jwtAlgorithms: v.optional(
    v.pipe(list(), live(), about('signatures that count (all of the kind of key when absent)')),
  ),
  jwtClockTolerance: v.optional(v.pipe(whole(0, 300), live(), about('seconds that clocks may differ')), 5),
  jwtModelsClaim: v.optional(
    v.pipe(text(), live(), about('claim with the models a JWT is for (all when absent)')),
  ),
  ticketSecret: v.optional(
    v.pipe(
      v.string('must be text'),
      v.minLength(32, 'must have at least 32 characters'),
      secret(),
      about('shared by the tails behind one address, so that each knows the tickets of the others'),
    ),
  ),
  rate: v.optional(
    v.pipe(
      above0(1e6),
      live(),
      about('requests a second of one subject, or of one address (no limit when absent)'),
    ),
  ),
  burst: v.optional(
    v.pipe(whole(1, 1e7), live(), about('requests at once (those of two seconds when absent)')),
  ),
  trustedProxies: v.optional(
    v.pipe(
      list(),
      live(),
      about('whose X-Forwarded-For counts: networks (10.0.0.0/8), or how many proxies there are'),
    ),
  ),
});

export type Settings = v.InferOutput<typeof SETTINGS>;
export type SettingName = keyof Settings;

/** What is known of one setting beside its value. */
export interface SettingFacts {
  name: SettingName;
  /** What text in the environment or on the command line is turned into. */
  kind: 'number' | 'boolean' | 'list' | 'text';
  /** `ISTHMUS_MAX_BODY` */
  variable: string;
  /** `--max-body`, `--no-…` for what is on by default; undefined for secrets. */
  flag: string | undefined;
  about: string;
  default: unknown;
  secret: boolean;
  live: boolean;
}

/** In the order of the schema. */
export const FACTS: readonly SettingFacts[] = Object.entries(SETTINGS.entries).map(([key, entry]) => {
  const { wrapped } = entry;
  const metadata = v.getMetadata(wrapped) as { secret?: boolean; live?: boolean };
  const words = key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' ');
  const type: string = wrapped.type;
  const kinds: Record<string, SettingFacts['kind']> = { number: 'number', boolean: 'boolean', array: 'list' };
  const prefix = type === 'boolean' && (entry.default as unknown) === true ? '--no-' : '--';
  return {
    name: key as SettingName,
    kind: kinds[type] ?? 'text',
    variable: `ISTHMUS_${words.join('_').toUpperCase()}`,
    flag: metadata.secret ? undefined : prefix + words.join('-'),
    about: v.getDescription(wrapped) ?? '',
    default: entry.default,
    secret: metadata.secret === true,
    live: metadata.live === true,
  };
});
