#!/bin/sh
# Generates the Rust code of doris/wire from its IDL.
#
#   doris/wire/generate.sh [output directory]     (default: doris/wire/src/generated)
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
for idl in frontend backend; do
    thrift --strict --gen rs -out "$out" "$idl.thrift"
done
