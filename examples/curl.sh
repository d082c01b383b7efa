#!/usr/bin/env bash
# Submit a prompt, wait for its video, download it and check it: with curl, and python3 to read JSON.
#
#   REELKEEP_API=https://YOUR-APP.azurewebsites.net/api REELKEEP_KEY=… examples/curl.sh "A paper boat" boat.mp4
set -euo pipefail

PROMPT=${1:?'a prompt, and the file to write: curl.sh "A paper boat" boat.mp4'}
FILE=${2:-video.mp4}
API=${REELKEEP_API:-http://localhost:7071/api}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ -z "${REELKEEP_KEY:-}" ] || printf 'x-functions-key: %s\n' "$REELKEEP_KEY" > "$folder/key"
touch "$folder/key"

# Prints the answer, or, where it is a refusal, says it. The key is in a file, since every user of a machine can read
# its command lines; the answer too, since curl adds that of a second try to what it has printed.
api() {
    : > "$folder/answer"
    curl -sS --fail-with-body --retry 5 --retry-max-time 120 -H @"$folder/key" -o "$folder/answer" "$@" ||
        { cat "$folder/answer" >&2; return 1; }
    cat "$folder/answer"
}
# A value in the job that is read: field videos 0 url
field() {
    python3 -c 'import functools, json, sys
print(functools.reduce(lambda at, key: at[int(key) if key.isdigit() else key], sys.argv[1:], json.load(sys.stdin)))' "$@"
}

# Sent again after a lost answer, the same key gives the same job: nothing is paid for twice.
key=$(python3 -c 'import uuid; print(uuid.uuid4())')
body=$(python3 -c 'import json, sys; print(json.dumps({"prompt": sys.argv[1]}))' "$PROMPT")
job=$(api "$API/jobs" -H 'Content-Type: application/json' -H "Idempotency-Key: $key" -d "$body")
id=$(field id <<< "$job")
echo "$id"

etag='""'
while :; do
    status=$(field status <<< "$job")
    echo "  $status"
    case $status in succeeded | failed | cancelled | expired) break ;; esac
    # The answer comes when something has changed; after 25 seconds it is 304, with no body.
    answer=$(api "$API/jobs/$id?wait=25" -H "If-None-Match: $etag" -D "$folder/headers")
    etag=$(sed -n 's/^[Ee][Tt]ag: *\(".*"\).*/\1/p' "$folder/headers" | tail -1)
    if [ -n "$answer" ]; then job=$answer; else sleep 1; fi
done
[ "$status" = succeeded ] || { field error message <<< "$job" >&2; exit 1; }

# The URL is signed: no key is sent with it, which would be nothing for the storage to see.
curl -sS --fail --retry 5 "$(field videos 0 url <<< "$job")" -o "$FILE.part"
expected=$(field videos 0 sha256 <<< "$job")
actual=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$FILE.part")
[ "$actual" = "$expected" ] || { echo "$FILE.part is not what was stored: sha256 $actual, not $expected" >&2; exit 1; }
mv "$FILE.part" "$FILE"
echo "$FILE, sha256 $actual"
