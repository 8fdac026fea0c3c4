// Types of the protobuf messages as proto-loader gives and takes them (protocol.ts): 64-bit numbers as text on the way
// in, absent fields as defaults. Types only.

export interface ProtoParameter {
  parameter_choice?: 'bool_param' | 'int64_param' | 'string_param' | 'double_param' | 'uint64_param';
  bool_param?: boolean;
  int64_param?: string | number;
  string_param?: string;
  double_param?: number;
  uint64_param?: string | number;
}

export type ProtoParameters = Record<string, ProtoParameter>;

export interface ProtoContents {
  bool_contents?: boolean[];
  int_contents?: number[];
  int64_contents?: string[];
  uint_contents?: number[];
  uint64_contents?: string[];
  fp32_contents?: number[];
  fp64_contents?: number[];
  bytes_contents?: Uint8Array[];
}

export interface ProtoTensor {
  name: string;
  datatype: string;
  shape: (string | number)[];
  parameters?: ProtoParameters;
  contents?: ProtoContents | null;
}

export interface ProtoRequest {
  model_name: string;
  model_version?: string;
  id?: string;
  parameters?: ProtoParameters;
  inputs: ProtoTensor[];
  outputs?: { name: string; parameters?: ProtoParameters }[];
  raw_input_contents?: Uint8Array[];
}

export interface ProtoResponse {
  model_name: string;
  model_version?: string;
  id?: string;
  parameters?: ProtoParameters;
  outputs: ProtoTensor[];
  raw_output_contents?: Uint8Array[];
}

export interface ProtoStreamResponse {
  error_message: string;
  infer_response: ProtoResponse | null;
}
