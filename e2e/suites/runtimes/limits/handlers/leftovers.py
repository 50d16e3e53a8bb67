"""Leaves things behind: files in /tmp, and a thread and a process that go on counting."""

import mmap
import os
import subprocess
import sys
import threading
import time

COUNTERS = "/tmp/counters"
STEP_SECONDS = 0.01
#: In the command line of the process that stays, so that a node can be searched for it.
COUNT = """
import mmap, os, sys, time
with open(sys.argv[1], "r+b") as file:
    counter = mmap.mmap(file.fileno(), 16)
while True:
    counter[8:16] = (int.from_bytes(counter[8:16], "little") + 1).to_bytes(8, "little")
    time.sleep(float(sys.argv[2]))
"""


def counters():
    with open(COUNTERS, "r+b") as file:
        return mmap.mmap(file.fileno(), 16)


def read(counter):
    return {"thread": int.from_bytes(counter[0:8], "little"), "process": int.from_bytes(counter[8:16], "little")}


def count(counter):
    while True:
        counter[0:8] = (int.from_bytes(counter[0:8], "little") + 1).to_bytes(8, "little")
        time.sleep(STEP_SECONDS)


def leave(event):
    with open(COUNTERS, "wb") as file:
        file.write(bytes(16))
    threading.Thread(target=count, args=[counters()], daemon=True).start()
    subprocess.Popen([sys.executable, "-c", COUNT, COUNTERS, str(STEP_SECONDS), event["marker"]], start_new_session=True)
    return observe(event)


def observe(event):
    """The counters at the beginning and at the end of the event."""
    first = read(counters())
    time.sleep(event["seconds"])
    return {"first": first, "last": read(counters())}


def put(event):
    with open(f"/tmp/{event['name']}", "w") as file:
        file.write(event["text"])
    return look(event)


def look(event):
    """What is in /tmp; slow enough that a call at the same time runs in another environment."""
    time.sleep(event.get("seconds", 0))
    texts = {name: open(f"/tmp/{name}").read() for name in os.listdir("/tmp") if name.startswith("note-")}
    return {"environment": os.environ["AWS_LAMBDA_LOG_STREAM_NAME"], "texts": texts}


def leave_environment(event):
    os._exit(1)


def handler(event, context):
    return globals()[event["kind"]](event)
