#!/usr/bin/env bash
# A job with curl alone, from the photo to the picture: examples/curl.sh http://localhost:8080 filled.jpg
set -euo pipefail
server=$1
output=$2
here=$(dirname "$0")

# The key makes a repeat harmless: the same request with it is the same job.
accepted=$(curl --fail-with-body --silent --show-error --retry 5 -F "image=@$here/seabed.jpg" \
    -F "mask=@$here/seabed-mask.png" -F seed=7 -H "Idempotency-Key: curl-$$" "$server/v1/jobs")
job=$(sed -E 's/.*"id":"([^"]+)".*/\1/' <<<"$accepted")

# Events until the last one: step k of n, then succeeded, failed, cancelled or expired.
curl --fail-with-body --silent --show-error --no-buffer "$server/v1/jobs/$job/events" | grep '^event:'

curl --fail-with-body --silent --show-error --retry 5 -o "$output" "$server/v1/jobs/$job/result"
echo "wrote $output"
