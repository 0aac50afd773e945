#!/bin/sh
# Makes the secrets that compose.yaml mounts, once: a password of the database, and the URL that has it.
#
#     sh deploy/make-secrets.sh
#
# The worker's token is made when the service runs; compose.yaml says how.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets
if [ ! -s secrets/db_password ]; then
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >secrets/db_password
    printf 'postgresql://rung:%s@db:5432/rung' "$(cat secrets/db_password)" >secrets/storage_url
fi
[ -e secrets/worker_token ] || : >secrets/worker_token
# The folder is closed to others; the files are not: a container reads them as another user.
chmod 0444 secrets/db_password secrets/storage_url
chmod 0644 secrets/worker_token
echo "secrets are in $(pwd)/secrets"
