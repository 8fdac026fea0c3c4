#!/bin/sh
# All steps, from photos and teacher to a measured neck10.onnx: run.sh DATA_FOLDER [MINUTES]
# Intermediate files (teacher.npz, checkpoint.pt) go to the folder named by SCRATCH, by default /tmp/neck10.
set -e
data=$1
minutes=${2:-54}
scratch=${SCRATCH:-/tmp/neck10}
here=$(dirname "$0")
python=${PYTHON:-/usr/bin/python3}
mkdir -p "$scratch"
# Idle OpenMP threads that spin would take the cores from whoever else is at work on the machine.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-2} OMP_WAIT_POLICY=passive
[ -f "$scratch/teacher.npz" ] || "$python" "$here/teacher.py" --data "$data" --out "$scratch/teacher.npz"
"$python" "$here/train.py" --data "$data" --teacher "$scratch/teacher.npz" \
  --checkpoint "$scratch/checkpoint.pt" --log "$scratch/log.txt" --minutes "$minutes"
"$python" "$here/export.py" --data "$data" --checkpoint "$scratch/checkpoint.pt" --out "$here/neck10.onnx"
"$python" "$here/cuts.py" --data "$data" --model "$here/neck10.onnx"
