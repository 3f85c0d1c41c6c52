"""The stages of the lab suite; tests/lab/run.sh calls it with all that it needs in place. Prints the counts as its last line."""

import argparse
import concurrent.futures
import json
import os
import re
import sys
import time

from machine import DATA_BYTES, MARKS_BYTES, Lab, run
from writelog import WriteLog

LOG_BYTES = 16 << 30  # sparse: the writes of one run


class Suite:
    def __init__(self, lab, stages):
        self.lab, self.stages = lab, stages
        self.counts = []  # (passed, failed, skipped), from either lane

    def run(self):
        """Each of the lab's machines has one CPU, so where there are two, `host` and `power` run beside `e2e-kvm`."""
        lanes = [(self.host, self.power), (self.e2e_kvm,)]
        with concurrent.futures.ThreadPoolExecutor(min(len(lanes), self.lab.machines_at_once())) as threads:
            for done in [threads.submit(self.run_stages, lane) for lane in lanes]:
                done.result()

    def run_stages(self, stages):
        for stage in stages:
            name = stage.__name__.replace("_", "-")
            if self.stages and name not in self.stages:
                continue
            started = time.monotonic()
            try:
                stage()
            except Exception as error:  # a stage that breaks is a failure, and the next one still runs
                self.judge(name, str(error))
            print(f"{name}: {time.monotonic() - started:.0f} s", flush=True)

    def judge(self, what, trouble):
        self.counts.append((0, 1, 0) if trouble else (1, 0, 0))
        if trouble:
            print(f"{what}: FAILED: {trouble}", flush=True)
        else:
            print(f"{what}: passed", flush=True)

    def suite_inside(self, task, seconds):
        """A task that ends with counts of its own."""
        outcome = self.lab.boot(task, self.lab.new_data_disk(task), seconds)
        counts = outcome.counts()
        if counts is None or outcome.status is None or (outcome.status != 0 and counts[1] == 0):
            self.judge(task, "no counts\n" + outcome.tail())
            return
        for line in re.findall(r"^skipped: .*$", outcome.console, re.MULTILINE):
            print(line)
        if counts[1]:
            print(outcome.tail(100))
        print(f"{task}: {counts[0]} passed, {counts[1]} failed, {counts[2]} skipped", flush=True)
        self.counts.append(counts)

    def host(self):
        self.suite_inside("host", 400)

    def e2e_kvm(self):
        self.suite_inside("e2e-kvm", 900)  # four to seven minutes, as busy as the machine is

    def power(self):
        """One life of two capsules, and what is left of them after power cuts at several places of it."""
        disk, first, log = self.lab.new_data_disk("lived"), self.lab.path("first"), self.lab.path("log")
        run("cp", "--sparse=always", disk, first)
        with open(log, "wb") as file:
            file.truncate(LOG_BYTES)
        outcome = self.lab.boot("power-write", disk, 300, log=log)
        facts = facts_of(outcome)
        if not facts.get("written"):
            self.judge("power: the life before the cuts", outcome.tail())
            return
        self.cut_power(first, log, facts)
        for path in (disk, first, log):
            os.unlink(path)

    def cut_power(self, first, log, facts):
        writes = WriteLog(log, DATA_BYTES - MARKS_BYTES)
        marks = writes.marks
        print(f"power: {len(writes.entries)} requests logged, marks at {marks}")
        begin, end = marks["pause 2 begins"], marks["pause 2 answered"]
        cuts = [("after the answer of pause 1", marks["pause 1 answered"] + 1, {"paused 1"}),
                ("as pause 2 begins", begin + 1, {"ended", "paused 2"}),
                ("in the middle of pause 2", (begin + end) // 2, {"ended", "paused 2"}),
                ("before the last flush of pause 2", writes.last_flush(end), {"ended", "paused 2"}),
                ("after the answer of pause 2", end + 1, {"paused 2"})]
        for number, (name, at, allowed) in enumerate(cuts):
            cut = self.lab.path(f"cut{number}")
            run("cp", "--sparse=always", first, cut)
            lost = writes.cut(cut, at, seed=number)
            outcome = self.lab.boot("power-check", cut, 300, more=f"lab.capsules={facts['bystander']},{facts['subject']}")
            self.judge(f"power cut {name} (request {at}, {lost} writes lost)", verdict(outcome, facts, allowed))
            os.unlink(cut)


def facts_of(outcome):
    facts = {}
    for line in re.findall(r"^lab-fact: (\{.*\})$", outcome.console, re.MULTILINE):
        fact = json.loads(line)
        facts.update({fact["capsule"]: fact} if "capsule" in fact else fact)
    return facts


def verdict(outcome, before, allowed):
    """What is wrong after a cut; None when all is well."""
    after = facts_of(outcome)
    states = []
    for which in ("bystander", "subject"):
        fact = after.get(before[which])
        if fact is None:
            return f"nothing is known of the {which}\n{outcome.tail()}"
        if fact["status"] == "paused":
            content = fact["content"]
            versions = [str(version) for version in (100, 1, 2) if content == [f"{version} whole"] * 2]
            if not versions:
                return f"the {which} is paused, but what it resumes with is {fact}\n{outcome.tail()}"
            states.append("paused " + versions[0])
        elif fact["status"] in ("error", "stopped"):
            states.append("ended")
        else:
            return f"the {which} is {fact}\n{outcome.tail()}"
    if states[0] != "paused 100":
        return f"the bystander, paused long before, is {states[0]}: {after}\n{outcome.tail()}"
    if states[1] not in allowed:
        return f"the subject is {states[1]}, not {' or '.join(sorted(allowed))}: {after}\n{outcome.tail()}"
    return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", required=True)
    parser.add_argument("--build", required=True)
    parser.add_argument("--state", required=True)
    parser.add_argument("stages", nargs="*")
    arguments = parser.parse_args()
    suite = Suite(Lab(os.path.abspath(arguments.cache), os.path.abspath(arguments.build), os.path.abspath(arguments.state)),
                  arguments.stages)
    suite.run()
    passed, failed, skipped = (sum(each) for each in zip(*suite.counts)) if suite.counts else (0, 0, 0)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
