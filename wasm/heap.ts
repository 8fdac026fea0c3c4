// Where memory that callers may lay out begins: behind the tables that the kernels made for themselves.
export const heap: usize = __heap_base;
