# The function of every cell. `header` is the bootstrap's.
handler() {
  local event kind
  event=$(cat)
  kind=$(sed -n 's/.*"kind":"\([a-z]*\)".*/\1/p' <<<"$event")
  case "$kind" in
    error) echo -n 'no such luck' >&2; return 1 ;;
    sleep) sleep 60 ;;
    exit) exit 3 ;;
    crash) kill -SEGV $$; sleep 60 ;;
    unserialisable) echo 'not { JSON' ;;
    deadline)
      local end first
      end=$(header Lambda-Runtime-Deadline-Ms)
      first=$((end - $(date +%s%3N)))
      sleep 0.1
      echo "[$first,$((end - $(date +%s%3N)))]"
      ;;
    context) header Lambda-Runtime-Client-Context ;;
    trace) echo "\"$(header Lambda-Runtime-Trace-Id)\"" ;;
    *) echo "$event" ;;
  esac
}
