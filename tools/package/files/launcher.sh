#!/bin/sh
# Starts @PROGRAM@ with the runtime that it was tested with. Works from wherever the folder was put.
# Its version it tells by itself: most of the time of an answer would be the start of the runtime.
case "$#$1" in 1--version | 1-V) printf '%s\n' '@VERSION@' && exit 0 || exit 1 ;; esac
self=$(readlink -f "$0")
lib=${self%/*}/../lib/fitdoc
exec "$lib/runtime/node" "$lib/@SCRIPT@" "$@"
