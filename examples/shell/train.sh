#!/bin/sh
# Training code in shell: gradient descent with momentum on Rosenbrock's function, 50 steps an epoch.
#
#     rung tune --command "sh examples/shell/train.sh {lr} {momentum}" \
#         --space examples/shell/space.json --resource epoch:1:27 --trials 60 --workers 2
#
# What rung tells it: RUNG_RESOURCE, the epoch to reach, and RUNG_CHECKPOINT, a folder that holds what an
# earlier job of this trial wrote there. What it tells rung: a line for each epoch. See docs/protocol.md.
set -eu
lr=$1 momentum=$2
state=$RUNG_CHECKPOINT/state # epoch, the point, its speed

if [ -f "$state" ]; then
    read -r epoch x y dx dy <"$state"
else
    epoch=0 x=-1.5 y=1.5 dx=0 dy=0
fi

while [ "$epoch" -lt "$RUNG_RESOURCE" ]; do
    epoch=$((epoch + 1))
    awk -v lr="$lr" -v m="$momentum" -v x="$x" -v y="$y" -v dx="$dx" -v dy="$dy" -v epoch="$epoch" '
        BEGIN {
            for (step = 0; step < 50; step++) {
                gx = -2 * (1 - x) - 400 * x * (y - x * x)
                gy = 200 * (y - x * x)
                norm = sqrt(gx * gx + gy * gy)
                clip = norm > 10 ? 10 / norm : 1
                dx = m * dx - lr * clip * gx; x += dx
                dy = m * dy - lr * clip * gy; y += dy
            }
            printf "%d %.17g %.17g %.17g %.17g\n", epoch, x, y, dx, dy
        }' >"$state.new"
    mv "$state.new" "$state" # in one step: a copy of the folder has one or the other
    read -r epoch x y dx dy <"$state"
    awk -v epoch="$epoch" -v x="$x" -v y="$y" 'BEGIN {
        printf "rung: {\"resource\": %d, \"loss\": %.9g}\n", epoch, (1 - x) ^ 2 + 100 * (y - x * x) ^ 2
    }'
    read -r answer <"$RUNG_ANSWERS" # "go" when the folder is copied; to wait for it is optional
    [ "$answer" = go ] || exit 0
done
