#!/bin/sh
# The early exit of models/neck10, from the photos to the manifest: training/exits/run.sh DATA_FOLDER [CUT] [EPOCHS]
set -e
data=${1:?usage: training/exits/run.sh DATA_FOLDER [CUT] [EPOCHS]}
cut=${2:-neck1}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
node training/exits/features.ts "$data" "$work" "$cut"
python3 training/exits/train.py "$work" "$cut" "$work/trained" "${3:-16}"
node training/exits/export.ts "$work/trained" "training/exits/$cut.onnx"
node src/cli/main.ts exits models/neck10 add --name "$cut" --cut "$cut" --onnx "training/exits/$cut.onnx"
node src/cli/main.ts calibrate models/neck10 --images "$data/images/imagenette-train-160" --exits
