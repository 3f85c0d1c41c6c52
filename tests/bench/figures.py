"""Samples → one JSON line."""

import json
import sys


def percentile(samples, share):
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Report:
    def __init__(self, acceleration):
        self.acceleration = acceleration

    def line(self, name, unit, samples, **more):
        figures = {"bench": name, "unit": unit, "n": len(samples), "p50": round(percentile(samples, 0.50), 3),
                   "p99": round(percentile(samples, 0.99), 3), "accel": self.acceleration, **more}
        print(json.dumps(figures))
        sys.stdout.flush()

    def skipped(self, name, why):
        print(json.dumps({"bench": name, "skipped": why}))
        sys.stdout.flush()
