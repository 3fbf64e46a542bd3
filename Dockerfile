# Build:  docker build -t keystead .
# Run:    docker run -v keystead:/data -v ./password:/password:ro -e KEYSTEAD_REQUIREPASS_FILE=/password \
#             -p 7379:7379 -p 7380:7380 keystead
# The container listens on every address, so it does not start without a user or a password (docs/operations.md).
ARG PYTHON=3.13

FROM python:${PYTHON}-slim AS build
WORKDIR /build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# What changes seldom comes first: the layer of the dependencies outlives changes of the source.
COPY requirements/build.txt requirements/run.txt requirements/
RUN pip install --quiet --require-hashes -r requirements/build.txt \
    && python -m venv --without-pip /opt/keystead \
    && pip --python /opt/keystead/bin/python install --quiet --require-hashes --only-binary :all: -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist . \
    && pip --python /opt/keystead/bin/python install --quiet --no-deps dist/*.whl \
    && /opt/keystead/bin/python -m compileall -q /opt/keystead/lib

FROM python:${PYTHON}-slim
COPY --from=build /opt/keystead /opt/keystead
# A number, so that Kubernetes can see that it is not root. A new volume takes the owner of the directory.
RUN install -d -o 10001 -g 10001 -m 700 /data
USER 10001:10001
VOLUME /data
WORKDIR /data
ENV PATH=/opt/keystead/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    KEYSTEAD_DIR=/data KEYSTEAD_HOST=0.0.0.0 KEYSTEAD_HTTP_PORT=7380
EXPOSE 7379 7380
# Alive, not ready: whoever restarts unhealthy containers must not restart one that reads a large store or has a full disk.
HEALTHCHECK --interval=10s --timeout=3s --retries=3 CMD ["python", "-c", \
    "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['KEYSTEAD_HTTP_PORT'] + '/livez', timeout=2)"]
ENTRYPOINT ["keystead"]
CMD ["serve"]
