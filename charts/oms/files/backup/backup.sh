# Dumps each service's database, into a folder named by the time at which the first dump began.
set -euo pipefail
. "$(dirname "$0")/reach.sh"
cd "$BACKUPS"
# Remove what aborted runs left. A run holds a lock on its .owner file until its last process ends, so that the folder of another
# run that is still going on stays. On file systems without locks, the age decides: a Job has four hours.
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
begin || { sleep 1; begin; } # backups are named by the second: if two begin in the same one, the other takes the next
trap 'rm -rf "$partial"' EXIT
for service in $SERVICES; do
  reach "$service"
  pg_dump --format=custom --no-owner --no-acl --file="$partial/$service.dump" "$(cat "$URIS/$service")"
  echo "backup: $stamp/$service.dump: $(stat -c %s "$partial/$service.dump") bytes"
done
rm "$partial/.owner"
mv --no-target-directory "$partial" "$stamp" # a backup is complete or does not exist
for old in [0-9]*Z; do
  if [ "$old" != "$stamp" ] && [ -n "$(find "$old" -maxdepth 0 -mtime "+$((KEEP_DAYS - 1))")" ]; then
    rm -rf "$old"
    echo "backup: $old is older than $KEEP_DAYS days, and removed"
  fi
done
