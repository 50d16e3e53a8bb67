"""Spins with as many processes as there are processors and tells how much CPU time the environment was given."""

import os
import signal
import time

#: Where the kernel accounts this container's CPU: cgroup v1, which counts nanoseconds in a file of their own, or v2.
V1_STAT, V1_USAGE = "/sys/fs/cgroup/cpu/cpu.stat", "/sys/fs/cgroup/cpuacct/cpuacct.usage"
V2_STAT = "/sys/fs/cgroup/cpu.stat"


def read(path):
    with open(path) as file:
        return file.read()


def sample():
    """Periods of the quota, how many of them it ended early, CPU seconds used, and when."""
    v1 = os.path.exists(V1_STAT)
    stat = {name: int(value) for name, value in map(str.split, read(V1_STAT if v1 else V2_STAT).splitlines())}
    used = int(read(V1_USAGE)) / 1e9 if v1 else stat["usage_usec"] / 1e6
    return stat["nr_periods"], stat["nr_throttled"], used, time.monotonic()


def handler(event, context):
    """CPU seconds per second, over the periods in which the quota was used up; and how many these were."""
    children = []
    for _ in range(len(os.sched_getaffinity(0))):
        child = os.fork()
        if child == 0:
            while True:
                pass
        children.append(child)
    try:
        return measure(event["periods"], time.monotonic() + event["limitSeconds"])
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def measure(wanted, end):
    # What the quota had left over from before the spin is gone after some periods.
    time.sleep(0.5)
    found, used, wall = 0, 0.0, 0.0
    before = sample()
    while found < wanted and time.monotonic() < end:
        # This process stands still with the others when the quota is used up, so it comes here when a period begins.
        time.sleep(0.005)
        now = sample()
        periods, throttled = now[0] - before[0], now[1] - before[1]
        if periods == 0:
            continue
        # In any other period somebody else had the processors, which says nothing about the quota.
        if throttled == periods:
            found, used, wall = found + periods, used + now[2] - before[2], wall + now[3] - before[3]
        before = now
    return {"periods": found, "share": used / wall if wall > 0 else None}
