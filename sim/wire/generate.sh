#!/bin/sh
# Generates the Rust code of sim/wire from its IDL, which includes that of doris/wire.
#
#   sim/wire/generate.sh [output directory]     (default: sim/wire/src/generated)
#
# The result depends on the IDL and the compiler version alone.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/src/generated}
wanted="0.17.0"
found=$(thrift --version | sed 's/.*version //')
if [ "$found" != "$wanted" ]; then
    echo "thrift compiler $wanted wanted, found $found" >&2
    exit 1
fi
mkdir -p "$out"
cd "$here/idl"
for idl in types heartbeat agent plan load; do
    thrift --strict -I ../../../doris/wire/idl --gen rs -out "$out" "$idl.thrift"
done
