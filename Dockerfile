# The images of the service, one target each: edge, worker-cpu, worker-gpu. What they run as, how they are sized and
# what is proven of them: deploy/README.md.
#
# Bases are named by tag. To pin the bytes as well, look the digest up (docker buildx imagetools inspect
# python:3.11-slim) and build with --build-arg PYTHON_IMAGE=python:3.11-slim@sha256:...
ARG PYTHON_IMAGE=python:3.11-slim

FROM ${PYTHON_IMAGE} AS builder
# The system's certificates are the ones that a company's own mirror is known by.
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_SYSTEM_CERTS=1 VIRTUAL_ENV=/opt/moebius
WORKDIR /build
COPY pyproject.toml constraints.txt ./
RUN --mount=type=cache,target=/root/.cache \
    python -m pip install --no-cache-dir --root-user-action=ignore --constraint constraints.txt uv \
    && uv venv --python /usr/local/bin/python /opt/moebius

# Packages come before the source, so that a change of the source leaves these layers as they are. NumPy and SciPy
# bring tests of 50 MB.
FROM builder AS edge-packages
RUN --mount=type=cache,target=/root/.cache \
    uv pip install --constraint constraints.txt --requirements pyproject.toml \
    && find /opt/moebius -type d -name tests -prune -exec rm -r {} +

FROM builder AS worker-cpu-packages
RUN --mount=type=cache,target=/root/.cache \
    uv pip install --constraint constraints.txt --requirements pyproject.toml --extra cpu \
    && find /opt/moebius -type d -name tests -prune -exec rm -r {} +

# CUDA comes as packages with ONNX Runtime and PyTorch; the host gives the driver alone. With what `moebius models
# pull` needs to convert a published model.
FROM builder AS worker-gpu-packages
RUN --mount=type=cache,target=/root/.cache \
    uv pip install --constraint constraints.txt --requirements pyproject.toml --extra gpu --extra export

FROM builder AS wheel
COPY LICENSE NOTICE README.md ./
COPY moebius_client moebius_client
COPY service service
# The wheel takes the model store along; an edge has no use for it, and workers get it as a layer of its own.
RUN --mount=type=cache,target=/root/.cache \
    mkdir model_store && uv build --wheel --build-constraint constraints.txt --out-dir /wheels

FROM ${PYTHON_IMAGE} AS service
ENV PATH=/opt/moebius/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 MOEBIUS_HOST=0.0.0.0
# Both folders belong to the service, so that a volume there does, too.
RUN useradd --no-log-init --uid 10001 --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin moebius \
    && install --directory --owner moebius --group moebius /models /var/cache/moebius
ARG VERSION=0.1.0
LABEL org.opencontainers.image.version=$VERSION \
      org.opencontainers.image.licenses=Apache-2.0 \
      org.opencontainers.image.base.name=docker.io/library/python:3.11-slim
STOPSIGNAL SIGTERM
ENTRYPOINT ["moebius"]

FROM service AS edge
COPY --from=edge-packages /opt/moebius /opt/moebius
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    /usr/local/bin/python -m pip --python /opt/moebius/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl
LABEL org.opencontainers.image.title=moebius-edge \
      org.opencontainers.image.description="The edge of the Moebius inpainting service: HTTP and gRPC"
USER 10001:10001
EXPOSE 8080 50051
HEALTHCHECK --interval=10s --timeout=10s --start-period=120s --start-interval=2s CMD ["moebius-ready", "edge"]
CMD ["edge"]

FROM service AS worker
ENV MOEBIUS_MODEL_STORE=/opt/model_store MOEBIUS_CACHE_DIR=/var/cache/moebius
COPY model_store /opt/model_store
EXPOSE 9100
HEALTHCHECK --interval=10s --timeout=10s --start-period=300s --start-interval=2s CMD ["moebius-ready", "worker"]
CMD ["worker"]

FROM worker AS worker-cpu
COPY --from=worker-cpu-packages /opt/moebius /opt/moebius
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    /usr/local/bin/python -m pip --python /opt/moebius/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl
LABEL org.opencontainers.image.title=moebius-worker-cpu \
      org.opencontainers.image.description="A worker of the Moebius inpainting service on a CPU"
USER 10001:10001

FROM worker AS worker-gpu
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=worker-gpu-packages /opt/moebius /opt/moebius
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    /usr/local/bin/python -m pip --python /opt/moebius/bin/python install --no-cache-dir --no-deps --no-index /wheels/*.whl
LABEL org.opencontainers.image.title=moebius-worker-gpu \
      org.opencontainers.image.description="A worker of the Moebius inpainting service on an NVIDIA GPU"
USER 10001:10001
