# Seashore in a container, without torch. Two targets, the same code and model:
#   docker build --target cpu -t seashore:cpu .       ONNX and OpenVINO on the CPU
#   docker build --target gpu -t seashore:gpu .       ONNX Runtime with CUDA 13 and cuDNN 9 from their wheels; the node brings the driver
# Any Debian or Ubuntu image with Python 3.11 or newer and venv serves as BASE.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /app
RUN python3 -m venv /opt/seashore
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY requirements/ requirements/

FROM build AS build-cpu
RUN /opt/seashore/bin/pip install --no-cache-dir --no-deps -r requirements/run.txt
COPY service/ service/
RUN /opt/seashore/bin/pip install --no-cache-dir --no-deps --editable .

FROM build AS build-gpu
RUN /opt/seashore/bin/pip install --no-cache-dir --no-deps -r requirements/run-gpu.txt
COPY service/ service/
RUN /opt/seashore/bin/pip install --no-cache-dir --no-deps --editable .

# What both targets are: the checkout's layout under /app (so the model store lies beside the package), read-only to the
# service's own user. 0.0.0.0 is the container's address; who may reach it is said where the port is published.
FROM ${BASE} AS runtime
RUN useradd --system --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin seashore \
 && install --directory --owner=10001 --mode=0700 /data
WORKDIR /app
# ORT_DISABLE_TELEMETRY: ONNX Runtime reports its use to Microsoft otherwise.
ENV PATH=/opt/seashore/bin:$PATH \
    ORT_DISABLE_TELEMETRY=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    SEASHORE_HOST=0.0.0.0 \
    SEASHORE_PORT=8000 \
    SEASHORE_DATA_DIR=/data
COPY model_store/ model_store/
# Jobs, what came from the PACS, the audit trail: the one place that is written to, and that must outlive the container.
VOLUME /data
# HTTP, and DICOM where SEASHORE_SITE names a site file.
EXPOSE 8000 11112
STOPSIGNAL SIGTERM
# Alive, not ready: a service that is still warming up must not be killed for it. Balancers ask /readyz.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ[\"SEASHORE_PORT\"]}/healthz', timeout=4)"]
CMD ["seashore", "serve"]

FROM runtime AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
COPY --from=build-gpu /opt/seashore /opt/seashore
COPY --from=build-gpu /app /app
USER 10001

# Last, so that a build without --target is the one that runs anywhere.
FROM runtime AS cpu
COPY --from=build-cpu /opt/seashore /opt/seashore
COPY --from=build-cpu /app /app
USER 10001
