# A dump of each service's database, in a folder named by the time at which the first of them began.
set -euo pipefail
. "$(dirname "$0")/reach.sh"
cd "$BACKUPS"
# Of runs that were ended. Whoever makes a backup holds a lock on its owner's file, which ends with its last process, so that
# the one of somebody else who makes a backup now stays. Where there are no locks, the time says it: a Job has four hours.
for ended in .partial*; do
  if [ -e "$ended/.owner" ]; then
    { flock -sn 9 && rm -rf "$ended"; } 9<"$ended/.owner" || true
  fi
done
find . -maxdepth 1 -name '.partial*' -mmin +300 -exec rm -rf {} +
begin() {
  stamp=$(date -u +%Y%m%dT%H%M%SZ)
  partial=.partial-$stamp
  [ ! -e "$stamp" ] && mkdir "$partial" && own
}
# Another run may find the folder before it is locked, and remove it.
own() {
  exec 8>"$partial/.owner"
  flock 8 || true
  [ "$partial/.owner" -ef /dev/fd/8 ]
}
begin || { sleep 1; begin; } # backups are named by the second: of two in one, the other takes the next
trap 'rm -rf "$partial"' EXIT
for service in $SERVICES; do
  reach "$service"
  pg_dump --format=custom --no-owner --no-acl --file="$partial/$service.dump" "$(cat "$URIS/$service")"
  echo "backup: $stamp/$service.dump: $(stat -c %s "$partial/$service.dump") bytes"
done
rm "$partial/.owner"
mv --no-target-directory "$partial" "$stamp" # whole, or not there
for old in [0-9]*Z; do
  if [ "$old" != "$stamp" ] && [ -n "$(find "$old" -maxdepth 0 -mtime "+$((KEEP_DAYS - 1))")" ]; then
    rm -rf "$old"
    echo "backup: $old is older than $KEEP_DAYS days, and removed"
  fi
done
