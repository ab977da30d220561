#!/bin/sh
# Starts @PROGRAM@ with the runtime that it was tested with. Works from wherever the folder was put.
self=$(readlink -f "$0")
lib=${self%/*}/../lib/fitdoc
exec "$lib/runtime/node" "$lib/@SCRIPT@" "$@"
