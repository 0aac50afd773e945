#!/bin/sh
# Ask and tell from any language: a study of a rung service, with curl and sed alone.
#
#     rung service                                     # in another terminal
#     RUNG_TOKEN=$(cat ~/.config/rung/service/8080.token) sh examples/curl.sh
#
# RUNG_SERVICE (http://127.0.0.1:8080 unless set), RUNG_TOKEN; the study's name may be given as an argument.
# Every call may be made again: curl does when it gets no answer. What asks for a job has a key of its own, so
# that the job is not given out twice; a job's end that is told again is known already.
set -eu
api=${RUNG_SERVICE:-http://127.0.0.1:8080}/api/v1
study=${1:-curl}

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
umask 077
printf 'Authorization: Bearer %s\n' "$RUNG_TOKEN" >"$folder/headers" # in a file: `ps` shows arguments

call() { # METHOD PATH [BODY]
    curl --silent --show-error --fail-with-body --retry 20 --retry-connrefused --retry-max-time 120 \
        --header "@$folder/headers" --header 'Content-Type: application/json' \
        --header "Idempotency-Key: $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" \
        --request "$1" "$api$2" ${3:+--data "$3"}
}

field() { # NAME: the first number or word of this name in the JSON on stdin
    sed -n "s/^[^{]*{\{0,1\}.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p"
}

# Nine configurations of x, each up to 9 steps; ASHA decides who goes on.
call POST /studies "{
    \"name\": \"$study\", \"metric\": \"loss\", \"resource\": \"step:1:9\", \"trials\": 9, \"sampler\": \"random\",
    \"space\": {\"parameters\": [{\"name\": \"x\", \"type\": \"float\", \"low\": 0.0, \"high\": 1.0}]}
}" >"$folder/made"

while :; do
    call POST "/studies/$study/ask" '{"worker": "curl"}' >"$folder/job"
    if grep -q '"job":null' "$folder/job"; then
        if grep -q '"done":true' "$folder/job"; then break; fi
        sleep "$(field retry_after <"$folder/job")"
        continue
    fi
    trial=$(field trial <"$folder/job") attempt=$(field attempt <"$folder/job")
    start=$(field start <"$folder/job") until=$(field until <"$folder/job") x=$(field x <"$folder/job")
    job=/studies/$study/jobs/$trial/$attempt

    outcome=finished step=$start
    while [ "$step" -lt "$until" ]; do # the training: one step, one report
        step=$((step + 1))
        loss=$(awk -v x="$x" -v step="$step" 'BEGIN { printf "%.9g", (x - 0.3) ^ 2 + 1 / step }')
        keep=null # what brings a later job of this trial to its `start`: a text of your own, or an uploaded tar
        if [ "$step" = "$until" ]; then keep="\"x after step $step\""; fi
        call POST "$job/report" "{\"resource\": $step, \"metrics\": {\"loss\": $loss}, \"checkpoint\": $keep}" >"$folder/word"
        if grep -q '"go_on":false' "$folder/word"; then outcome=stopped && break; fi
    done
    call POST "$job/tell" "{\"outcome\": \"$outcome\"}" >/dev/null
    echo "trial $trial, x = $x, step $step: loss $loss"
done

echo "best: $(call GET "/studies/$study" | sed 's/.*"incumbent":\({.*}\)}*$/\1/')"
