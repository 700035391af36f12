#!/usr/bin/env bash
# Waits until AWS gives notice, two minutes ahead, that it takes this spot instance back, then tells Ray that the node
# leaves: it is given no more work, trainings on it write a checkpoint, and what is lost with it counts as no fault.
# Run on every worker by ces-kd-drain.service. Ends once Ray has taken the notice.
#
# The notice comes from the instance metadata service, version 2: each request needs a token.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
set -u
service=${METADATA_SERVICE:-http://169.254.169.254}
poll_seconds=${POLL_SECONDS:-5}

notice() {  # prints {"action": "terminate", "time": "2026-01-31T12:00:00Z"}; fails while there is none
  local token
  token=$(curl -sSf -m 2 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' "$service/latest/api/token") &&
    curl -sf -m 2 -H "X-aws-ec2-metadata-token: $token" "$service/latest/meta-data/spot/instance-action"
}

seconds_left() {  # until the time of the notice in $1; two minutes where it can't be read
  local now at
  now=$(date +%s)
  at=$(grep -o '[0-9-]\{10\}T[0-9:]\{8\}Z' <<< "$1") && at=$(date -d "$at" +%s) || at=$((now + 120))
  echo $((at > now ? at - now : 0))
}

until found=$(notice) && ray drain-node --reason DRAIN_NODE_REASON_PREEMPTION \
  --reason-message "spot instance interruption: $found" --deadline-remaining-seconds "$(seconds_left "$found")"; do
  sleep "$poll_seconds"
done
echo "Ray was told that this node leaves: $found"
