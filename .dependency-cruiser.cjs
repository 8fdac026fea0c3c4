// The import rule: data flows one way, so imports do too. A folder may import its right-hand neighbours in the flow
// and the shared leaves; the list below is the whole of what is allowed.
const LEAVES =
  '^src/(abort|errors|tensor|codec/(cpu/chooseWidth|params|checks|isthmusPlan|profile)|wire/layout|model/manifest|model/topLabels|model/exitRule|image/[^/]+|tail/run/backend|head/runtime|transport/transport)\\.ts$';
const ALLOWED = {
  client: ['planner', 'worker', 'transport', 'wire', 'codec/cpu'],
  planner: [],
  worker: ['head'],
  head: ['codec/gpu', 'codec/cpu', 'wire'],
  'codec/gpu': ['codec/cpu', 'codec/reference'],
  'codec/cpu': ['codec/wasm', 'codec/reference'],
  'codec/wasm': ['codec/reference'],
  'codec/reference': [],
  wire: [],
  transport: ['wire'],
  model: [],
  image: [],
  tail: ['wire', 'codec/cpu', 'model'],
  calibrate: ['model', 'codec/cpu', 'codec/reference', 'head/node', 'image'],
};

// Tests and their fixtures drive the real neighbours on both sides.
const NOT_SHIPPED = '\\.(test|fixture)\\.ts$';
const slashes = (s) => s.replace('/', '\\/');
const rules = Object.entries(ALLOWED).map(([from, to]) => ({
  name: `import-rule-${from.replace('/', '-')}`,
  comment: `${from} imports only ${[...to, 'shared leaves'].join(', ')}`,
  severity: 'error',
  from: { path: `^src/${slashes(from)}/`, pathNot: NOT_SHIPPED },
  to: {
    path: '^src/',
    pathNot: [LEAVES, `^src/${slashes(from)}/`, ...to.map((t) => `^src/${slashes(t)}/`)],
  },
}));

module.exports = {
  forbidden: [
    ...rules,
    {
      name: 'nothing-imports-app-or-cli',
      severity: 'error',
      from: { pathNot: '^src/(app|cli)/' },
      to: { path: '^src/(app|cli)/' },
    },
    {
      name: 'tail-stays-on-the-server',
      severity: 'error',
      from: { path: '^src/tail/', pathNot: NOT_SHIPPED },
      to: { path: '^src/(worker|head|client|codec/gpu)/', pathNot: '^src/head/runtime\\.ts$' },
    },
    {
      name: 'calibration-is-a-program',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli|calibrate)/' },
      to: { path: '^src/calibrate/' },
    },
    {
      name: 'second-decoder-stands-alone',
      comment: 'it shows that FORMAT.md is complete',
      severity: 'error',
      from: { path: '^e2e/secondDecoder/' },
      to: { pathNot: '^e2e/secondDecoder/|^(node:)?crypto$' },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: {},
      to: { circular: true, dependencyTypesNot: ['type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types'] },
  },
};
