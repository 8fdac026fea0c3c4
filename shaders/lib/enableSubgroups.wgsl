// First in every module that holds scanSubgroup.wgsl: WGSL wants extensions named before anything else.
enable subgroups;
