# Runs before each start of the server: makes the data directory, the service's role and its database if they are absent.
# The role always gets the password that the service will use, because the volume may outlive the secret, and somebody may have
# changed the password on purpose. Single-user mode asks for no password.
set -euo pipefail
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  # Moved into place when it is complete, so that a crash leaves no partial directory behind.
  rm -rf "$PGDATA" "$PGDATA.new"
  initdb --pgdata "$PGDATA.new" --username postgres --encoding UTF8 --locale C.UTF-8 \
    --auth-local peer --auth-host scram-sha-256 >/dev/null
  mv "$PGDATA.new" "$PGDATA"
fi
chmod 0700 "$PGDATA" # a volume's fsGroup may have opened it
# Escaped so that no character ends the SQL string, and no line break the command of single-user mode.
password=${SERVICE_PASSWORD//\\/\\\\}
password=${password//\'/\\\'}
password=${password//$'\n'/\\n}
postgres --single -D "$PGDATA" -c log_min_error_statement=panic postgres <<SQL 2>&1 >/dev/null | { grep --extended-regexp 'ERROR|FATAL|PANIC' | grep --invert-match 'already exists' >&2 || true; }
CREATE ROLE "$SERVICE_USER" LOGIN
ALTER ROLE "$SERVICE_USER" PASSWORD E'$password'
CREATE DATABASE "$SERVICE_USER" OWNER "$SERVICE_USER"
REVOKE CONNECT ON DATABASE "$SERVICE_USER" FROM PUBLIC
SQL
