#!/bin/sh
# A Flink cluster as one process: a JobManager and TaskManagers, in DIRECTORY. What of them ends is started again, as an
# orchestrator would do it; all of them end with this process, however it ends.
#   cluster.sh DIRECTORY TASK_MANAGERS JAVA ARGUMENT...     (what comes before the class, for each of them)
directory=$1 managers=$2
shift 2
trap 'kill -9 $(cat "$directory"/*.pid) 2>/dev/null; exit 0' TERM INT

# keep NAME CLASS MEMORY ARGUMENT...
keep() {
  name=$1 class=$2 memory=$3
  shift 3
  while :; do
    "$@" "$memory" "$class" --configDir "$directory" -D "taskmanager.resource-id=$name" >>"$directory/$name.log" 2>&1 &
    echo $! >"$directory/$name.pid"
    wait $!
    sleep 1
  done
}

# Its group is gone as soon as nobody holds the other end of the pipe.
rm -f "$directory/alive" "$directory"/*.pid
mkfifo "$directory/alive"
(cat "$directory/alive" >/dev/null && kill -9 0) &
exec 9>"$directory/alive"
(
  exec 9>&-
  keep jobmanager org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint -Xmx512m "$@"
) &
number=0
while [ "$number" -lt "$managers" ]; do
  number=$((number + 1))
  (
    exec 9>&-
    keep "taskmanager-$number" org.apache.flink.runtime.taskexecutor.TaskManagerRunner -Xmx384m "$@"
  ) &
done
wait
