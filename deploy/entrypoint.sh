#!/bin/bash
# What a container runs: the command it is given. Kubernetes starts Spark's executors with the one word "executor" and the rest
# in the environment, as Spark's own images expect it.
set -euo pipefail

# MLflow's address of its database holds a password, and MLflow reads it from the environment only.
if [ -n "${MLFLOW_BACKEND_STORE_URI_FILE:-}" ]; then
  MLFLOW_BACKEND_STORE_URI="$(cat "$MLFLOW_BACKEND_STORE_URI_FILE")"
  export MLFLOW_BACKEND_STORE_URI
fi

if [ "${1:-}" != executor ]; then exec "$@"; fi

cd /tmp # where it puts the files that the driver sends
options=()
while IFS= read -r -d '' entry; do
  case "$entry" in SPARK_JAVA_OPT_*) options+=("${entry#*=}") ;; esac
done < <(env -0)
exec java "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" -cp "${SPARK_CLASSPATH:-}:$SPARK_HOME/jars/*" \
  org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
  --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
  --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
  --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
