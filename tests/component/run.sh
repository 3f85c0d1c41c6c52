#!/bin/bash
# Component tests: whole parts against real sockets and files, with fakes of what would need a kernel or a network.
exec "$(dirname "$0")/../catch_programs.sh" component
