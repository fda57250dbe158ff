#!/usr/bin/env bash
# Runs a training stage in several processes, each with its part of every batch (TensorFlow's MultiWorkerMirroredStrategy).
# Usage: run_files/run_multi_worker.sh WORKERS SCRIPT --FLAG value ...
#        INDEX=I run_files/run_multi_worker.sh HOST:PORT,HOST:PORT,... SCRIPT --FLAG value ...
# The first form starts WORKERS processes on this machine (for its GPUs, --MULTI_GPU is the better way); the second
# starts the I-th (from 0) of the named ones, for machines that share directory/. The first worker's files are the ones
# that stay. When a worker dies, those started here are stopped, and the same command with --RESUME goes on after the
# last finished epoch.
set -euo pipefail
cd "$(dirname "$0")/.."
source run_files/usage.sh
if [ $# -lt 2 ] || ! [[ $1 =~ ^[1-9][0-9]*$|: ]]; then
  wrong_usage
fi
python=${PYTHON:-python} workers=$1
shift
if [[ $workers == *:* ]]; then
  addresses=$workers
  indices=${INDEX:?"of this machine's worker, from 0; set it before the command"}
else
  addresses=$("$python" -c '
import socket, sys
sockets = [socket.create_server(("localhost", 0)) for _ in range(int(sys.argv[1]))]
print(",".join(f"localhost:{each.getsockname()[1]}" for each in sockets))' "$workers")
  indices=$(seq 0 $((workers - 1)))
fi

pids=()
stop() {
  kill "${pids[@]}" 2>/dev/null || true
  sleep 5 # a worker that waits for a dead one hears no signal but KILL
  kill -KILL "${pids[@]}" 2>/dev/null || true
}
trap 'stop; exit 143' TERM INT
for index in $indices; do
  export TF_CONFIG="{\"cluster\": {\"worker\": [\"${addresses//,/\", \"}\"]}, \"task\": {\"type\": \"worker\", \"index\": $index}}"
  if [ "$index" = 0 ]; then
    "$python" "$@" &
  else
    TQDM_DISABLE=1 "$python" "$@" > >(sed -u "s/^/worker $index: /" >&2) &
  fi
  pids+=($!)
done
for _ in "${pids[@]}"; do
  wait -n || {
    code=$?
    advice="; add --RESUME to go on after the last finished epoch"
    if [ "$code" = 2 ]; then
      advice="" # the input is wrong, as its message says
    fi
    echo "error: a worker ended with exit code $code$advice" >&2
    stop
    exit "$code"
  }
done
