# Network policies may take effect for a pod only after it has started, and a database may be starting.

# reach SERVICE: wait until its database accepts connections; for a minute, or a few minutes if attempts get no answer
reach() {
  for _ in $(seq 60); do
    if pg_isready --quiet --dbname="$(cat "$URIS/$1")"; then return; fi
    sleep 1
  done
  echo "the database of $1 cannot be reached" >&2
  return 1
}
