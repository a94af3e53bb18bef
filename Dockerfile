# One image for every role: app, endpoint, MLflow, Spark master, worker and executor, and the command line. The command says which;
# compose.yaml and deploy/kubernetes.yaml have them all. Pin the base by digest in your registry: a tag moves.
FROM python:3.11-slim-bookworm AS base
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008 # security updates of Debian are wanted; everything of Python is pinned
RUN apt-get update \
    && apt-get install --yes --no-install-recommends openjdk-17-jre-headless procps libgomp1 tini \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/twinset
ENV TWINSET_CACHE_DIR=/opt/twinset/cache

# The packages of requirements.txt, Horovod built for this TensorFlow, Delta's JARs and the ready-made weights.
FROM base AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends cmake g++ make && rm -rf /var/lib/apt/lists/*
COPY requirements.txt ./
COPY backend ./backend
RUN python3.11 -m backend.machine.bootstrap && rm -rf cache/wheels cache/ivy && chmod -R a+rX cache \
    # compiled here, as nothing can be at run time; a few files are templates and no Python
    && (.venv/bin/python -m compileall -q -j 0 .venv/lib || true)

FROM base
# Readable by all and owned by root: nobody who runs in it can change what it runs.
COPY --from=build /opt/twinset/.venv ./.venv
COPY --from=build /opt/twinset/cache ./cache
COPY LICENSE NOTICE requirements.txt ./
COPY .streamlit ./.streamlit
COPY assets ./assets
COPY backend ./backend
COPY app ./app
COPY pages ./pages
COPY deploy/entrypoint.sh ./deploy/entrypoint.sh
RUN .venv/bin/python -m compileall -q app backend pages \
    && useradd --uid 10001 --user-group --no-create-home --home-dir /nonexistent twinset \
    && install --directory --owner=twinset --group=twinset --mode=0700 /data

# Nothing is written but /data and /tmp. No secret is in the image: give them as files, TWINSET_…_FILE.
ENV PATH=/opt/twinset/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SPARK_HOME=/opt/twinset/.venv/lib/python3.11/site-packages/pyspark \
    TWINSET_HOME=/data/home \
    NUMBA_CACHE_DIR=/tmp/numba \
    MPLCONFIGDIR=/tmp/matplotlib
USER 10001:10001
EXPOSE 8501 8601 8701
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s CMD ["python", "-m", "backend.machine.supervisor", "app"]
ENTRYPOINT ["tini", "--", "/opt/twinset/deploy/entrypoint.sh"]
CMD ["python", "-m", "app"]
