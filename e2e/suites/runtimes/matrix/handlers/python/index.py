"""The function of every cell, as a user of Lambda writes one."""

import os
import signal
import sys
import time

STARTS = "/tmp/starts"


def note(what):
    with open(STARTS, "a") as file:
        file.write(what + "\n")


if os.environ.get("INIT") == "fail":
    raise ValueError("no such luck")
if os.environ.get("INIT") == "slow":
    note("begun")
    time.sleep(11)
    note("done")


def handler(event, context):
    kind = event.get("kind") if isinstance(event, dict) else None
    if kind == "error":
        raise ValueError("no such luck")
    if kind == "sleep":
        time.sleep(event["ms"] / 1000)
    if kind == "large":
        return "x" * (event["size"] - 2)
    if kind == "exit":
        sys.exit(3)
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "unserialisable":
        return {"set": {1, 2}}
    if kind == "deadline":
        first = context.get_remaining_time_in_millis()
        time.sleep(0.1)
        return [first, context.get_remaining_time_in_millis()]
    if kind == "context":
        return {"custom": context.client_context.custom, "client": context.client_context.client.app_title}
    if kind == "trace":
        return os.environ.get("_X_AMZN_TRACE_ID")
    if kind == "warm":
        return {"n": event["n"], "stream": context.log_stream_name}
    if kind == "starts":
        return open(STARTS).read().split()
    return event
