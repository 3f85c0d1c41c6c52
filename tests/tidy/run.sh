#!/bin/sh
# The rules of the source tree (rules.py), checked without building anything.
exec /usr/bin/python3 -B "$(dirname "$0")/tidy.py"
