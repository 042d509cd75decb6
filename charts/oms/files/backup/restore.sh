# Replaces the contents of the databases by the dumps of one backup (STAMP, or the latest); each database completely or not at all.
# The services must not run meanwhile, and the offsets of their groups must be reset afterwards: see docs/backup.md.
set -euo pipefail
. "$(dirname "$0")/reach.sh"
cd "$BACKUPS"
all=([0-9]*Z)
stamp=${STAMP:-${all[-1]}}
for service in $SERVICES; do
  [ -s "$stamp/$service.dump" ] || { echo "restore: there is no $stamp/$service.dump" >&2; exit 1; }
done
# A service may have several schemas, and a later release others: all of them are dropped.
empty=$(cat <<'SQL'
BEGIN;
DO $$
  DECLARE name text;
  BEGIN
    FOR name IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
      EXECUTE format('DROP SCHEMA %I CASCADE', name);
    END LOOP;
  END
$$;
CREATE SCHEMA public;
SQL
)
for service in $SERVICES; do
  reach "$service"
  { # committed only after the whole dump was read
    printf '%s\n' "$empty"
    pg_restore --no-owner --no-acl --file=- "$stamp/$service.dump" && echo 'COMMIT;'
  } | psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --output=/dev/null "$(cat "$URIS/$service")"
  echo "restore: $service is as it was at $stamp"
done
