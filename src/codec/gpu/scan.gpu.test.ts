// The prefix sums of both scan files against sums in TypeScript. The machine at hand has one subgroup size, so the
// subgroup file also runs on emulated ones: every size from 4 to 128, and with members that are no neighbours.
import { afterAll, beforeAll, expect, test } from 'vitest';
import enableSubgroups from '../../../shaders/lib/enableSubgroups.wgsl?raw';
import scanShared from '../../../shaders/lib/scanShared.wgsl?raw';
import scanSubgroup from '../../../shaders/lib/scanSubgroup.wgsl?raw';
import { randomBits } from '../reference/vectors.ts';
import { requestDevice } from './gpuTesting.fixture.ts';

/** Counts symbols 0…15, 32 per place and tile; puts out places, scanned counters and sums. */
const HARNESS = `
override WORKGROUP: u32 = 256u;
const TILES = 3u;
@group(0) @binding(0) var<storage, read> symbols: array<u32>;
@group(0) @binding(1) var<storage, read_write> output: array<u32>;
@compute @workgroup_size(WORKGROUP)
fn main(@builtin(local_invocation_index) lane: u32) {
  init(lane);
  let place = scanPlace(lane);
  for (var tile = 0u; tile < TILES; tile++) {
    var packed = vec4<u32>(0u);
    for (var k = 0u; k < 32u; k++) {
      packed = bump(packed, symbols[(tile * WORKGROUP + place) * 32u + k]);
    }
    scanTile(packed, place);
    for (var which = 0u; which < 16u; which++) {
      output[((tile * WORKGROUP + place) * 2u) * 16u + which] = scanned(place * 8u, which);
      output[((tile * WORKGROUP + place) * 2u + 1u) * 16u + which] = summed(which);
    }
    workgroupBarrier();
  }
}
`;
const NO_INIT = 'fn init(lane: u32) {}\n';

/** Subgroup operations in workgroup memory. The first four of the shuffled lanes form a subgroup of their own. */
const EMULATED = `
override SIZE: u32 = 32u;
override STRIDE: u32 = 1u;
var<workgroup> em_values: array<vec4<u32>, WORKGROUP>;
var<private> em_at: u32;
fn init(lane: u32) { em_at = (lane * STRIDE) % WORKGROUP; }
fn em_start() -> u32 { return select(4u + ((em_at - 4u) / SIZE) * SIZE, 0u, em_at < 4u); }
fn em_end() -> u32 { return min(select(em_start() + SIZE, 4u, em_at < 4u), WORKGROUP); }
fn em_sum(value: vec4<u32>, all: bool) -> vec4<u32> {
  workgroupBarrier();
  em_values[em_at] = value;
  workgroupBarrier();
  var sum = vec4<u32>(0u);
  for (var i = em_start(); i < select(em_at, em_end(), all); i++) { sum += em_values[i]; }
  return sum;
}
fn elect() -> bool { return em_at == em_start(); }
fn add4(value: vec4<u32>) -> vec4<u32> { return em_sum(value, true); }
fn before4(value: vec4<u32>) -> vec4<u32> { return em_sum(value, false); }
fn add1(value: u32) -> u32 { return add4(vec4<u32>(value)).x; }
fn before1(value: u32) -> u32 { return before4(vec4<u32>(value)).x; }
`;
const emulated = scanSubgroup
  .replace(/subgroupAdd\((even|odd)\)/g, 'add4($1)')
  .replace(/subgroupExclusiveAdd\((even|odd)\)/g, 'before4($1)')
  .replace(/subgroupAdd\(/g, 'add1(')
  .replace(/subgroupExclusiveAdd\(/g, 'before1(')
  .replace(/subgroupElect\(/g, 'elect(');

let device: GPUDevice;
beforeAll(async () => {
  device = await requestDevice(['subgroups']);
});
afterAll(() => device.destroy());

async function run(code: string, workgroup: number, constants: Record<string, number> = {}) {
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
  const next = randomBits(workgroup);
  const symbols = Uint32Array.from({ length: 3 * workgroup * 32 }, () => next() & next() & 15);
  const input = device.createBuffer({ size: symbols.byteLength, usage: STORAGE | COPY_DST });
  device.queue.writeBuffer(input, 0, symbols);
  const size = 3 * workgroup * 2 * 16 * 4;
  const output = device.createBuffer({ size, usage: STORAGE | COPY_SRC });
  const readback = device.createBuffer({ size, usage: MAP_READ | COPY_DST });
  const pipeline = await device.createComputePipelineAsync({
    layout: 'auto',
    compute: {
      module: device.createShaderModule({ code }),
      entryPoint: 'main',
      constants: { WORKGROUP: workgroup, ...constants },
    },
  });
  const commands = device.createCommandEncoder();
  const pass = commands.beginComputePass();
  pass.setPipeline(pipeline);
  const entries = [input, output].map((buffer, binding) => ({ binding, resource: { buffer } }));
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  commands.copyBufferToBuffer(output, 0, readback, 0, size);
  device.queue.submit([commands.finish()]);
  await readback.mapAsync(GPUMapMode.READ);
  const actual = new Uint32Array(readback.getMappedRange().slice(0));
  expect(actual).toEqual(sums(symbols, workgroup));
}

function sums(symbols: Uint32Array, workgroup: number): Uint32Array {
  const wanted = new Uint32Array(3 * workgroup * 2 * 16);
  for (let tile = 0; tile < 3; tile++) {
    const seen = new Uint32Array(16);
    const row = (place: number, half: number) => ((tile * workgroup + place) * 2 + half) * 16;
    for (let place = 0; place < workgroup; place++) {
      wanted.set(seen, row(place, 0));
      for (let k = 0; k < 32; k++) seen[symbols[(tile * workgroup + place) * 32 + k]!]!++;
    }
    for (let place = 0; place < workgroup; place++) wanted.set(seen, row(place, 1));
  }
  return wanted;
}

test.each([32, 64, 256])('workgroups of %i', async (workgroup) => {
  await run(HARNESS + NO_INIT + scanShared, workgroup);
  await run(`${enableSubgroups}\n${HARNESS}${NO_INIT}${scanSubgroup}`, workgroup);
});

test.each([4, 8, 16, 32, 64, 128])('emulated subgroups of %i', async (size) => {
  expect(emulated).not.toMatch(/subgroup(Add|Exclusive|Elect)/);
  const code = HARNESS + EMULATED + emulated;
  await run(code, 256, { SIZE: size });
  await run(code, 64, { SIZE: size, STRIDE: 5 });
});
