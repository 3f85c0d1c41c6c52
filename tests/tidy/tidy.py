#!/usr/bin/env python3
"""Runs the checks over the repository; one count per check. Usage: tidy.py [ROOT]"""

import sys
from pathlib import Path

import checks
import selftest


def main():
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[2]
    tree = checks.Tree(root)
    if not tree.sources:
        print(f"no sources under {root}/src")
        print("0 passed, 1 failed, 0 skipped")
        return 1
    passed = failed = 0
    for title, check in [("the checks find planted violations", selftest.check_selftest)] + checks.CHECKS:
        findings = list(check(tree))
        print(f"{'FAIL' if findings else 'ok  '} {title}")
        for finding in findings:
            print(f"     {finding}")
        if findings:
            failed += 1
        else:
            passed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


sys.dont_write_bytecode = True
sys.exit(main())
