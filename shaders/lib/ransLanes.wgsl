// Bindings of the two passes of the entropy coder, the same for every family.

override WORKGROUP: u32 = 256u;

@group(0) @binding(1) var<storage, read_write> lanes: Lanes;
@group(0) @binding(2) var<storage, read_write> steps: array<u32>;
/** Words of each lane, two per entry, as its encoder leaves them. */
@group(0) @binding(3) var<storage, read_write> laneWords: array<u32>;
/** Words of all lanes, two per entry, as they travel. */
@group(0) @binding(4) var<storage, read_write> payload: array<u32>;
