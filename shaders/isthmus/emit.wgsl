// `isthmus` decoder without a channel transform: the mean of the channel, and the elements.

@group(0) @binding(2) var<storage, read_write> before: array<i32>;
@group(1) @binding(1) var<storage, read> means: array<i32>;

@compute @workgroup_size(WORKGROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  for (var i = id.x; i < params.count; i += groups.x * WORKGROUP) {
    put(i, means[i / params.area % params.channels] + before[i]);
  }
}
