"""Sleeps, and leaves a line in its log when it has slept."""

import os
import time


def handler(event, context):
    started = time.time()
    time.sleep(event.get("seconds", 0))
    environment = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
    print(f"slept {event.get('token')} in {environment}", flush=True)
    return {"environment": environment, "token": event.get("token"), "slept": time.time() - started}
