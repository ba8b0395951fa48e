# Fairtally all in one: gateway, every role, dashboard, an embedded PostgreSQL and Redis. Keep /data in a volume.
#   docker build -t fairtally . && docker run --rm --name fairtally -v fairtally:/data \
#     -p 127.0.0.1:8080:8080 -p 127.0.0.1:8090:8090 fairtally
#   docker exec fairtally cat /data/secrets/admin.password    # of the user admin of http://127.0.0.1:8090
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY web/package.json ./web/
RUN npm ci --ignore-scripts
COPY . .
# The library links of the embedded PostgreSQL are made now: the user of the running image may not.
RUN npm run build \
 && npm prune --omit=dev --ignore-scripts \
 && node --input-type=module -e "import { findPostgresBinaries } from './dist/pkg/postgres/binaries.js'; if (findPostgresBinaries('') === null) throw new Error('no PostgreSQL for this platform')"

FROM node:24-bookworm-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends tini redis-server \
 && rm -rf /var/lib/apt/lists/* \
 && install -d -o node -g node -m 0700 /data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
ENV NODE_ENV=production HOST=0.0.0.0 DATA_DIR=/data
USER node
VOLUME /data
EXPOSE 8080 8090 9464 9465 9466
# PostgreSQL recovers by itself after a kill, but a clean stop is faster to start from.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT || 8080}/readyz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["node", "dist/cmd/fairtally/main.js", "run"]
