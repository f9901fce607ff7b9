# yoyak in a container, from the lock of the repository.
#
#   docker build -t yoyak .                                  the torch of the package index
#   docker build -t yoyak --build-arg TORCH_INDEX=URL .      torch from PyTorch's own index for
#                                                            the CPU (small) or for one CUDA release
#   docker run --rm -v "$PWD:/workspace" yoyak run           --gpus all where the build is for CUDA
#
# A folder that is mounted has to belong to user 1000, or pass `--user "$(id -u):$(id -g)"`.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim-bookworm AS base
# OpenMP for bitsandbytes on a CPU, Korean fonts for the charts of the report.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends fontconfig fonts-noto-cjk libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 yoyak

FROM base AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/yoyak
ENV PATH=/opt/yoyak/bin:$PATH
WORKDIR /src
COPY requirements.lock ./
# The lock has everything but torch and its CUDA libraries: docs/adr/0009-locked-without-torch.md.
RUN pip install --require-hashes --no-deps -r requirements.lock
ARG TORCH_INDEX=""
COPY Makefile ./
RUN torch=$(sed -n 's/^TORCH := //p' Makefile) \
    && test -n "$torch" \
    && PIP_EXTRA_INDEX_URL="$TORCH_INDEX" pip install "$torch"
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip install --no-deps . && pip check

# Where the tests and the tools are run: .devcontainer/devcontainer.json builds up to here.
FROM base AS dev
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends chromium g++ git make \
    && rm -rf /var/lib/apt/lists/*
USER yoyak

FROM base
COPY --from=build /opt/yoyak /opt/yoyak
ENV PATH=/opt/yoyak/bin:$PATH LANG=C.UTF-8 PYTHONUNBUFFERED=1
RUN mkdir /workspace && chown yoyak:yoyak /workspace
USER yoyak
WORKDIR /workspace
VOLUME /workspace
ENTRYPOINT ["yoyak"]
CMD ["--help"]
