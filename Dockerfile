# yoyak in a container, from the lock of the repository.
#
#   docker build -t yoyak .                              for the CPU
#   docker build -t yoyak:cuda --target cuda .           for CUDA 13; CUDA 12: --build-arg CUDA=cu129
#   docker run --rm -v "$PWD:/workspace" yoyak run       with yoyak:cuda also --gpus all
#
# A folder that is mounted has to belong to user 1000, or pass `--user "$(id -u):$(id -g)"`.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS base
# OpenMP for bitsandbytes on a CPU.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 yoyak

# The lock has everything but torch and its CUDA libraries (docs/adr/0009-locked-without-torch.md);
# uv knows where PyTorch keeps its builds.
FROM base AS locked
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 UV_NO_CACHE=1 UV_PYTHON=/opt/yoyak/bin/python
WORKDIR /src
COPY scripts/uv.sh scripts/uv.sh
RUN python -m venv /opt/yoyak && scripts/uv.sh --version
COPY requirements.lock ./
RUN scripts/uv.sh pip install --require-hashes --no-deps --requirement requirements.lock
COPY Makefile pyproject.toml README.md LICENSE ./
COPY docs docs
COPY src src

FROM locked AS build-cpu
RUN scripts/uv.sh pip install --torch-backend=cpu "$(sed -n 's/^TORCH := //p' Makefile)" \
    && scripts/uv.sh pip install --no-deps . \
    && scripts/uv.sh pip check

FROM locked AS build-cuda
ARG CUDA=cu130
RUN scripts/uv.sh pip install --torch-backend="$CUDA" "$(sed -n 's/^TORCH := //p' Makefile)" \
    && scripts/uv.sh pip install --no-deps . \
    && scripts/uv.sh pip check

# Where the tests and the tools are run: .devcontainer/devcontainer.json builds up to here.
FROM base AS dev
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends chromium g++ git make \
    && rm -rf /var/lib/apt/lists/*
USER yoyak

FROM base AS runtime
ENV PATH=/opt/yoyak/bin:$PATH LANG=C.UTF-8 PYTHONUNBUFFERED=1
RUN mkdir /workspace && chown yoyak:yoyak /workspace
USER yoyak
WORKDIR /workspace
VOLUME /workspace
ENTRYPOINT ["yoyak"]
CMD ["--help"]

FROM runtime AS cuda
COPY --from=build-cuda /opt/yoyak /opt/yoyak

# The last stage is the one that is built when no target is named.
FROM runtime AS cpu
COPY --from=build-cpu /opt/yoyak /opt/yoyak
