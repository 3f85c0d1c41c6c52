#!/bin/bash
# Unit tests: functions and classes by themselves, nothing of the machine.
exec "$(dirname "$0")/../catch_programs.sh" unit
