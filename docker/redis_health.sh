#!/bin/sh
# Exit 0 when Redis answers to its password.
set -eu
REDISCLI_AUTH=$(cat /run/secrets/redis_password) valkey-cli --no-auth-warning ping | grep -q PONG
