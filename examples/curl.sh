#!/usr/bin/env bash
# Submit a prompt, wait for its video, download it and check it: with curl, and python3 to read JSON.
#
#   REELKEEP_API=https://YOUR-APP.azurewebsites.net/api REELKEEP_KEY=… examples/curl.sh "A paper boat" boat.mp4
set -euo pipefail

PROMPT=${1:?'a prompt, and the file to write: curl.sh "A paper boat" boat.mp4'}
FILE=${2:-video.mp4}
API=${REELKEEP_API:-http://localhost:7071/api}
AGAIN='Nothing is lost, and nothing is paid twice: run the same command again.'

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
[ -z "${REELKEEP_KEY:-}" ] || printf 'x-functions-key: %s\n' "$REELKEEP_KEY" > "$folder/key"
touch "$folder/key"

# Prints the answer, or explains a refusal. It repeats after no answer, 429 and 5xx: the host is busy, or one of its
# processes has died. The key is in a file, since every user of a machine can read its command lines.
api() {
    local pause status
    for pause in 1 2 4 8 15 ''; do
        : > "$folder/answer"
        status=$(curl -sS --connect-timeout 10 --max-time 240 -H @"$folder/key" -o "$folder/answer" \
            -w '%{http_code}' "$@") || status=000
        case $status in 000 | 408 | 429 | 5??) [ -z "$pause" ] || { sleep "$pause"; continue; } ;; esac
        break
    done
    case $status in
        2?? | 304) cat "$folder/answer" ;;
        000) echo "$API gives no answer. $AGAIN" >&2; return 1 ;;
        *)
            echo "HTTP $status" | cat "$folder/answer" - >&2
            # In the app's words, which have a code: the job was deleted, or refused by the video API.
            case $status in 404 | 409 | 422) ! grep -q '"code":' "$folder/answer" || rm "$kept" ;; esac
            return 1
            ;;
    esac
}
# Prints a value of the job from standard input: field videos 0 url
field() {
    python3 -c 'import functools, json, sys
print(functools.reduce(lambda at, key: at[int(key) if key.isdigit() else key], sys.argv[1:], json.load(sys.stdin)))' "$@"
}

# After a lost answer, the same key gives the same job, and nothing is paid for twice. It is kept beside the file until
# the job has ended, so that a second run of this program goes on with the same job.
body=$(python3 -c 'import json, sys; print(json.dumps({"prompt": sys.argv[1]}))' "$PROMPT")
kept=$FILE.key
[ "$(sed 1d "$kept" 2> /dev/null)" = "$body" ] ||
    printf '%s\n%s\n' "$(python3 -c 'import uuid; print(uuid.uuid4())')" "$body" > "$kept"
job=$(api "$API/jobs" -H 'Content-Type: application/json' -H "Idempotency-Key: $(head -1 "$kept")" -d "$body")
id=$(field id <<< "$job")
echo "$id"

etag='""' said=None
while :; do
    status=$(field status <<< "$job")
    echo "  $status"
    # Say why the job does not go on, each time that the reason changes.
    reason=$(field reason <<< "$job")
    [ "$reason" = None ] || [ "$reason" = "$said" ] || echo "  $reason" >&2
    said=$reason
    case $status in succeeded | failed | cancelled | expired) break ;; esac
    # The answer comes when the job has changed; after 25 seconds it is 304, without a body.
    answer=$(api "$API/jobs/$id?wait=25" -H "If-None-Match: $etag" -D "$folder/headers")
    etag=$(sed -n 's/^[Ee][Tt]ag: *\(".*"\).*/\1/p' "$folder/headers" | tail -1)
    if [ -n "$answer" ]; then job=$answer; else sleep 1; fi
done
if [ "$status" != succeeded ]; then
    rm "$kept"
    # A cancelled job has no error.
    if [ "$(field error <<< "$job")" = None ]; then echo "It is $status."; else field error message <<< "$job"; fi >&2
    exit 1
fi

# The URL is signed. No key is sent with it, since the storage must not see the key.
curl -sS --fail --connect-timeout 10 --speed-limit 1000 --speed-time 60 --retry 5 "$(field videos 0 url <<< "$job")" -o "$FILE.part"
expected=$(field videos 0 sha256 <<< "$job")
actual=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$FILE.part")
[ "$actual" = "$expected" ] || { echo "$FILE.part is not what was stored: sha256 $actual, not $expected. $AGAIN" >&2; exit 1; }
mv "$FILE.part" "$FILE"
rm "$kept"
echo "$FILE, sha256 $actual"
