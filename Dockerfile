# Seashore in a container, without torch. Two targets, the same code and model:
#   docker build --target cpu -t seashore:cpu .       ONNX and OpenVINO on the CPU
#   docker build --target gpu -t seashore:gpu .       ONNX Runtime with CUDA 13 and cuDNN 9 from their wheels; the node brings the driver
# Any Debian or Ubuntu image whose python3 is 3.11 or newer serves as BASE. A release names one by digest (BASE=...@sha256:...), so that
# the same files are built again. Every Python package comes from a lock with hashes. Built and tried without Docker: tests/image.
ARG BASE=docker.io/library/debian:bookworm-slim

# What both targets run on: Debian's Python, nothing to install with and nothing to compile with. ca-certificates: archives and
# destinations over TLS that name no authority of their own are held against the machine's.
FROM ${BASE} AS runtime
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/* /var/log/* \
 && useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin seashore \
 && install --directory --owner=10001 --mode=0700 /data
WORKDIR /app
# ORT_DISABLE_TELEMETRY: ONNX Runtime reports its use to Microsoft otherwise.
ENV PATH=/opt/seashore/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SEASHORE_HOST=0.0.0.0 \
    SEASHORE_PORT=8000 \
    SEASHORE_CAGE=require \
    SEASHORE_DATA_DIR=/data

# pip lives in an environment of its own, so that the one that is carried over never held it. Seashore is installed in place, first: its
# modules are looked up in /app, so this needs none of them, and a change of code downloads nothing anew.
FROM runtime AS build
RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends python3-venv
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/seashore && python3 -m venv --without-pip /opt/supply
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/build.txt requirements/supply.txt requirements/
RUN /opt/pip/bin/pip --python /opt/supply/bin/python install --no-deps -r requirements/supply.txt
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY service/__init__.py service/
RUN /opt/pip/bin/pip --python /opt/seashore/bin/python install --no-deps -r requirements/build.txt \
 && /opt/pip/bin/pip --python /opt/seashore/bin/python install --no-deps --no-build-isolation --editable . \
 && /opt/pip/bin/pip --python /opt/seashore/bin/python uninstall --yes setuptools
COPY .ci/trim .ci/sbom.py .ci/
COPY --from=runtime /var/lib/dpkg/status /tmp/dpkg-status

# Any other value of TRIM keeps what the packages bring and nothing here uses (.ci/trim says what), for comparison.
FROM build AS build-cpu
ARG TRIM=yes
COPY requirements/run.txt requirements/
RUN /opt/pip/bin/pip --python /opt/seashore/bin/python install --no-deps -r requirements/run.txt \
 && if [ "$TRIM" = yes ]; then .ci/trim /opt/seashore; fi
RUN /opt/supply/bin/python .ci/sbom.py /opt/seashore /tmp/dpkg-status /opt/seashore/sbom.cdx.json

FROM build AS build-gpu
ARG TRIM=yes
COPY requirements/run-gpu.txt requirements/
RUN /opt/pip/bin/pip --python /opt/seashore/bin/python install --no-deps -r requirements/run-gpu.txt \
 && if [ "$TRIM" = yes ]; then .ci/trim /opt/seashore; fi
RUN /opt/supply/bin/python .ci/sbom.py /opt/seashore /tmp/dpkg-status /opt/seashore/sbom.cdx.json

# The checkout's layout under /app, so that the model store lies beside the package; nothing of it belongs to the service's own user.
# 0.0.0.0 is the container's address; who may reach it is said where the port is published.
FROM runtime AS service
COPY LICENSE NOTICE ./
COPY model_store/ model_store/
COPY service/ service/
# The service's user may write no compiled modules, and every clip has a process of its own.
RUN python3 -m compileall -q service
# Jobs, what came from the PACS, the audit trail: the one place that is written to, and that must outlive the container.
VOLUME /data
# HTTP, and DICOM where SEASHORE_SITE names a site file.
EXPOSE 8000 11112
STOPSIGNAL SIGTERM
# Alive, not ready: a service that is still warming up must not be killed for it. Balancers ask /readyz.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python3", "-c", "import os, ssl, urllib.request; tls = 's' if os.environ.get('SEASHORE_TLS_CERTIFICATE') else ''; urllib.request.urlopen(f'http{tls}://127.0.0.1:{os.environ[\"SEASHORE_PORT\"]}/healthz', context=ssl._create_unverified_context(), timeout=4)"]
CMD ["seashore", "serve"]
# `make image` says them. Licences: Seashore's own, libx264 in PyAV's wheel, psycopg; all of them: docs/licences.md and the list of parts.
ARG BASE VERSION=unknown REVISION=unknown CREATED=unknown
LABEL org.opencontainers.image.title="Seashore" \
      org.opencontainers.image.description="Reads lung-ultrasound clips and says whether the lung slides. Research software, not a medical device." \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-or-later AND LGPL-3.0-only" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      seashore.sbom="/opt/seashore/sbom.cdx.json"

FROM service AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
COPY --from=build-gpu /opt/seashore /opt/seashore
USER 10001

# Last, so that a build without --target is the one that runs anywhere.
FROM service AS cpu
COPY --from=build-cpu /opt/seashore /opt/seashore
USER 10001
