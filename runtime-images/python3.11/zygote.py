"""Lets a runtime wait in the middle of its start until it is told which function it is.

The process is an ordinary start of `bootstrap`, of a function that nothing is known of yet, so all that comes after is what it
is anyway: there is no copy of another process, and nothing that two of them share. What the order's variables would have
changed before the wait is made up for here, or the process starts again.
"""

import importlib
import json
import logging
import os
import sys
import time

# A stream socket: "ready" goes out, one order comes in (u32, big-endian, and as many bytes of JSON).
ORDERS = 3

# What the shell that started this process and the interpreter (PEP 538) added to its environment, as they do in every start.
ADDED = ("PWD", "LC_CTYPE")

# Variables that were read on the way here, by the interpreter (site's folder of the user), the start-up file and the client's
# native part. Whoever has other values than this process has to start with them.
READ_FOR_GOOD = ("HOME", "AWS_LAMBDA_EXEC_WRAPPER", "AWS_LAMBDA_RUNTIME_API", "AWS_EXECUTION_ENV")

# Variables that awslambdaric.bootstrap reads when it is imported: it can be imported again.
READ_ON_IMPORT = {"AWS_LAMBDA_LOG_FORMAT": "Text", "AWS_LAMBDA_LOG_LEVEL": None}


def become_function():
    """Returns once the environment is the function's."""
    os.write(ORDERS, b"ready\n")
    environment = _order()["environment"]
    os.close(ORDERS)

    if any(environment.get(name) != os.environ.get(name) for name in READ_FOR_GOOD):
        bootstrap = os.path.abspath(sys.argv[0])
        os.execve(bootstrap, [bootstrap], {**environment, "PWD": os.getcwd()})

    added = {name: os.environ[name] for name in ADDED if name in os.environ}
    os.environ.clear()
    os.environ.update({**environment, **added})
    if any(environment.get(name) != value for name, value in READ_ON_IMPORT.items()):
        importlib.reload(sys.modules["awslambdaric.bootstrap"])
    # What a record's relativeCreated counts from.
    logging._startTime = time.time()


def _order():
    return json.loads(_read(int.from_bytes(_read(4), "big")))


def _read(size):
    received = b""
    while len(received) < size:
        part = os.read(ORDERS, size - len(received))
        if not part:
            # Not wanted any more.
            os._exit(0)
        received += part
    return received
