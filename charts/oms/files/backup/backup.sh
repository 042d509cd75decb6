# A dump of each service's database, in a folder named by the time at which the first of them began.
set -euo pipefail
. "$(dirname "$0")/reach.sh"
cd "$BACKUPS"
stamp=$(date -u +%Y%m%dT%H%M%SZ)
rm -rf .partial
mkdir .partial
for service in $SERVICES; do
  reach "$service"
  pg_dump --format=custom --no-owner --no-acl --file=".partial/$service.dump" "$(cat "$URIS/$service")"
  echo "backup: $stamp/$service.dump: $(stat -c %s ".partial/$service.dump") bytes"
done
mv .partial "$stamp" # whole, or not there
for old in [0-9]*Z; do
  if [ "$old" != "$stamp" ] && [ -n "$(find "$old" -maxdepth 0 -mtime "+$((KEEP_DAYS - 1))")" ]; then
    rm -rf "$old"
    echo "backup: $old is older than $KEEP_DAYS days, and removed"
  fi
done
