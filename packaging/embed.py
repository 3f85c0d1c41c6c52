#!/usr/bin/env python3
"""Turns files into a C++ source that holds their bytes.

    embed.py OUT.cpp INCLUDE NAMESPACE NAME FILE...

OUT.cpp defines `extern const std::vector<EmbeddedFile> NAME` of NAMESPACE, in the order of the file names; INCLUDE is the
header that declares it. Byte arrays, not literals: string literals have a length limit.
"""
import os
import sys


def main() -> int:
    if len(sys.argv) < 6:
        sys.stderr.write(__doc__)
        return 2
    out_path, include, namespace, name, *files = sys.argv[1:]
    files.sort(key=os.path.basename)
    parts = [f'#include "{include}"\n\nnamespace {namespace} {{\n\n']
    for number, path in enumerate(files):
        with open(path, "rb") as source:
            data = source.read()
        values = [str(byte if byte < 128 else byte - 256) for byte in data]
        lines = [",".join(values[at:at + 32]) for at in range(0, len(values), 32)]
        parts.append(f"static const char kBytes{number}[] = {{\n" + ",\n".join(lines + ["0"]) + "};\n")
    parts.append(f"\nconst std::vector<EmbeddedFile> {name} = {{\n")
    for number, path in enumerate(files):
        base = os.path.basename(path)
        parts.append(f'    {{"{base}", std::string_view(kBytes{number}, sizeof kBytes{number} - 1)}},\n')
    parts.append(f"}};\n\n}}  // namespace {namespace}\n")
    with open(out_path, "w", encoding="ascii") as out:
        out.write("".join(parts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
