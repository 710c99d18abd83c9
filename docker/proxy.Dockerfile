# Caddy without root: it listens on high ports and may write only its certificates and its configuration.
FROM caddy:2-alpine
# The copy drops the program's file capability, with which it could not start once all capabilities are taken away.
RUN addgroup -g 10002 proxy && adduser -D -H -u 10002 -G proxy proxy && chown -R 10002:10002 /data /config \
    && cp /usr/bin/caddy /usr/bin/caddy.plain && mv /usr/bin/caddy.plain /usr/bin/caddy
COPY Caddyfile /etc/caddy/Caddyfile
USER 10002:10002
