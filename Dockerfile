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
COPY --from=dependencies /securesql/node_modules node_modules
COPY package.json LICENSE ./
COPY contract contract
COPY runtime runtime
# By number: Kubernetes can verify `runAsNonRoot` only of a number.
USER 1000:1000

FROM runtime AS node
COPY node node
EXPOSE 4001 4002
ENTRYPOINT ["node", "node/main.ts"]

FROM runtime AS operator
COPY operator operator
EXPOSE 8080
ENTRYPOINT ["node", "operator/main.ts"]
