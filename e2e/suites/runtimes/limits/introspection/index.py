"""Answers with the facts of introspect.sh, the variables and the context object, as one text in base64."""

import base64
import os
import subprocess

SECTION = "Context object in Python"


def lines(section, facts):
    return "".join(f"{section}\t{name}\t{value}\n" for name, value in facts)


def attributes(context):
    for name, value in sorted(vars(context).items()):
        if not name.startswith("_"):
            yield name, value
    yield "get_remaining_time_in_millis()", context.get_remaining_time_in_millis()


def handler(event, context):
    script = ["bash", "/var/task/introspect.sh", str(os.getpid())]
    found = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True).stdout
    text = found + lines("Environment variables", os.environ.items()) + lines(SECTION, attributes(context))
    return base64.b64encode(text.encode()).decode()
