# docker build -t registrator .
# docker run -d --net host -v /var/run/docker.sock:/var/run/docker.sock registrator consul://localhost:8500

# Any image with node >= 22.12; BUILD_BASE needs npm and a shell as well. By its digest (of the index, for every
# architecture), so that the same sources make the same image; docker-bake.hcl has the same one.
ARG BASE=node:24-alpine@sha256:d32cdf619f63fe0471182d08996dd516c6275bb5fd31ae06e55a570bd9e1ad43
ARG BUILD_BASE=${BASE}

FROM ${BUILD_BASE} AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY scripts scripts
COPY src src
# Everything that runs is in the bundle: no node_modules.
RUN node scripts/build.js --no-types
COPY docker docker
# /app is the image: `docker exec <container> registrator …` finds the command on PATH.
RUN mkdir -p /app/bin && mv dist package.json docker /app/ && ln -s ../dist/cli.js /app/bin/registrator

FROM ${BASE}
ARG BASE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="registrator" \
      org.opencontainers.image.description="Watches a Docker host and keeps a service registry true to it" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
ENV PATH=${PATH}:/app/bin
COPY --from=build /app /app

# There is no USER line. The socket is usually root:docker, 660, with a group ID that differs from host to host, so a
# fixed user could not open it in a plain `docker run`. docker/start.js looks at the socket and goes on as nobody with
# the socket's group alone. It stays root where the socket, or a token or key that the environment names, is root's
# only; and with RUN_AS_ROOT=true, e.g. for a port below 1024 in the host's network. Never root at all:
#   docker run --user nobody --group-add "$(stat -c %g /var/run/docker.sock)" …
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["node", "/app/docker/healthcheck.js"]
# V8 keeps up to three times this size, in MiB, for what was only just made: its usual 16 are no quicker here.
ENTRYPOINT ["node", "--max-semi-space-size=8", "/app/docker/start.js"]
