# Counts the words of an event, and shows its bytes' digest: nothing of it may be lost or changed on the way.
count() {
  local -x LC_ALL=C # sorts and counts the same everywhere
  echo "an event of ${#1} bytes" >&2
  [ "$1" != '"fail"' ] || return 7
  local digest words
  digest="$(printf '%s' "$1" | sha256sum | cut -d' ' -f1)"
  words="$(printf '%s' "$1" | grep -oE '[[:alpha:]]+' | sort | uniq -c | sort -k1,1nr -k2 | head -n 5 | sed -E 's/^ *([0-9]+) (.*)$/"\2":\1/' | paste -sd,)"
  printf '{"sha256":"%s","bytes":%d,"words":{%s}}' "$digest" "$(printf '%s' "$1" | wc -c)" "$words"
}
