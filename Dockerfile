# Two images from one file: `--target node` (securesql-node) and `--target operator` (securesql-operator).
# Node runs the TypeScript as it is, so there is nothing to compile: an image is Node, the production dependencies and the sources of its side.

FROM node:26-bookworm-slim AS dependencies
WORKDIR /securesql
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev

# What both images share. A running container has no use for a package manager, and an intruder would.
FROM node:26-bookworm-slim AS runtime
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-*
WORKDIR /securesql
ENV NODE_ENV=production
# Twice 8 MiB for what lives briefly instead of twice 32: tens of megabytes less in each pod. 16 would be a little faster with many clients, and too much with 2 GB (bench/README.md).
ENV NODE_OPTIONS=--max-semi-space-size=8
# The C library gives each of a dozen threads a heap of its own, and by itself sets ever higher how much of what was freed it keeps: together a third of the memory.
ENV MALLOC_ARENA_MAX=2 MALLOC_TRIM_THRESHOLD_=131072
COPY --from=dependencies /securesql/node_modules node_modules
COPY package.json LICENSE ./
COPY contract contract
COPY runtime runtime
# By number: Kubernetes can verify `runAsNonRoot` only of a number.
USER 1000:1000

FROM runtime AS node
COPY node node
# Stripping and compiling several hundred modules is most of a start, so it is done here. The cache is kept by user, version and flags of Node, so the user of the container
# makes it; afterwards it belongs to root: what is in it is run. It is read only: where nothing fits, Node compiles as it always did.
USER 0:0
RUN install -d -o 1000 -g 1000 /var/cache/securesql
USER 1000:1000
RUN NODE_COMPILE_CACHE=/var/cache/securesql node node/main.ts -version
USER 0:0
RUN chown -R 0:0 /var/cache/securesql && chmod -R a+rX,go-w /var/cache/securesql
USER 1000:1000
ENV NODE_COMPILE_CACHE=/var/cache/securesql
EXPOSE 4001 4002
ENTRYPOINT ["node", "node/main.ts"]

FROM runtime AS operator
COPY operator operator
EXPOSE 8080
ENTRYPOINT ["node", "operator/main.ts"]
