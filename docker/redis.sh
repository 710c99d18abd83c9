#!/bin/sh
# Redis with its password from a file, by standard input: it stands in no argument and in no environment variable.
# Nothing is kept on disk: the database is the truth.
set -eu
exec valkey-server - <<END
bind 0.0.0.0
requirepass $(cat /run/secrets/redis_password)
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
END
