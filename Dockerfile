# mlpd and the libraries it needs, nothing else of the build.
#   docker build -t mlpd .
#   docker run --read-only -p 127.0.0.1:8080:8080 -v mlpd:/data mlpd
# docker/compose.yaml adds limits; docker/build-check.sh tests it without an engine.

# Another Debian 12 may stand in: --build-arg BASE=…
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        gcc libc6-dev make pkg-config \
        libjansson-dev libmicrohttpd-dev libopenblas-pthread-dev libsodium-dev \
        libsqlite3-dev \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make -j"$(nproc)" && make install-daemon DESTDIR=/out && strip /out/usr/local/bin/mlpd

FROM ${BASE}
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        libjansson4 libmicrohttpd12 libopenblas0-pthread libsodium23 libsqlite3-0 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 10001 -g 10001 -m 700 /data
COPY LICENSE /usr/share/doc/mlpd/copyright
COPY --from=build /out/ /
# A library that is missing above stops the build here, not the server later.
RUN mlpd version

LABEL org.opencontainers.image.title="mlpd" \
      org.opencontainers.image.description="Turns a table into a served neural network" \
      org.opencontainers.image.licenses="MIT"

# There are no keys yet, so mlpd refuses an address that others can reach unless told
# otherwise. Loopback inside a container is out of reach even for its host, and any other
# address only within reach of its network until a port is published: publish it to the
# host's loopback, or put a proxy that authenticates before it.
ENV MLPD_DB=/data/mlpd.db \
    MLPD_LISTEN=0.0.0.0:8080 \
    MLPD_INSECURE=true

# A number, so that an orchestrator can tell that it is not root. Nothing is written
# outside /data, so the root may be read-only.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["mlpd", "healthcheck"]
ENTRYPOINT ["mlpd"]
CMD ["serve"]
