// Family raw on the GPU: no pass at all, the feature's own bytes are read back.
import { DTYPES } from '../../tensor.ts';
import type { RawParams } from '../params.ts';
import type { GpuFamily } from './family.ts';

export const RAW: GpuFamily<RawParams> = {
  dtypes: DTYPES,
  plan: ({ dtype, shape, count, byteLength }) => ({
    regions: {},
    stages: [],
    copiesFeature: count > 0,
    read: (output) => ({
      family: 'raw',
      dtype,
      shape,
      flags: 0,
      params: new Uint8Array(0),
      payload: count > 0 ? output('feature').slice(0, byteLength) : new Uint8Array(0),
    }),
  }),
};
