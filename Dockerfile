# chartkeep: a command, and the service.
#   docker run chartkeep --help
#   docker run chartkeep serve --config /etc/chartkeep/chartkeep.yaml …
FROM node:24-trixie-slim

# pg_dump writes a schema for rebuilding where it is not older than the server; else chartkeep writes its own.
RUN apt-get update \
  && apt-get install -y --no-install-recommends postgresql-client ca-certificates \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /opt/chartkeep
COPY package.json package-lock.json .npmrc LICENSE* ./
RUN npm ci --omit=dev --omit=optional && npm cache clean --force
COPY src ./src
COPY workers ./workers

# A repository in a directory, when none in a bucket is configured.
RUN install -d -o node -g node -m 0700 /srv/chartkeep
VOLUME /srv/chartkeep
USER node
EXPOSE 8443
# The service ends a transaction that runs before it stops.
STOPSIGNAL SIGTERM
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "/opt/chartkeep/src/cli/main.ts"]
CMD ["--help"]
