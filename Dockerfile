# The commands of chargeover-async in a small image, without root rights.
#
#   docker build -t chargeover-async .
#   docker run --rm --network host chargeover-async                       the sandbox, on this machine's port 8080
#   docker run --rm --env-file chargeover.env -v "$PWD:/data" chargeover-async chargeover-async import plan.toml
#
# The sandbox speaks plain http and so listens on loopback only: a service beside it joins its network
# (compose.sandbox.yaml), or the container has the host's. More extras: --build-arg EXTRAS=cli,redis,zstd,parquet
FROM python:3.13-slim AS build
ARG EXTRAS=cli,redis,zstd
WORKDIR /src
COPY pyproject.toml README.md LICENSE _chargeover_async_pytest.py ./
COPY chargeover_async chargeover_async
RUN python -m venv /opt/chargeover \
    && /opt/chargeover/bin/pip install --no-cache-dir --disable-pip-version-check ".[$EXTRAS]" \
    && /opt/chargeover/bin/python -m compileall -q /opt/chargeover/lib \
    && rm -rf /opt/chargeover/lib/python*/site-packages/pip*

FROM python:3.13-slim
COPY --from=build /opt/chargeover /opt/chargeover
RUN mkdir /data && chown 10001:10001 /data
ENV PATH=/opt/chargeover/bin:$PATH PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /data
# What runs is process 1, to which SIGTERM does nothing until it is listened to. The commands do so while
# work is under way, and Python listens to SIGINT from the first moment on.
STOPSIGNAL SIGINT
CMD ["chargeover-async", "sandbox", "--port", "8080", "--store", "/data/sandbox.db"]
