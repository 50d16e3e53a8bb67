"""Uses up one thing after the other; `kind` says which."""

import errno
import os
import resource
import signal
import subprocess
import sys
import time

OVERRUN = "blocks = []\nwhile True: blocks.append(bytearray(16 << 20))"


def overrun(event):
    exec(OVERRUN)


def overrun_in_child(event):
    return subprocess.run([sys.executable, "-c", OVERRUN]).returncode


def overrun_and_kill_all(event):
    """What a kernel with group kill does: an overrun takes everything in the container along, the agent too."""
    subprocess.run([sys.executable, "-c", OVERRUN])
    os.kill(-1, signal.SIGKILL)


def processes(event):
    """As many as there can be; then one can still run again when they are gone."""
    children, refused = [], None
    while refused is None:
        try:
            child = os.fork()
        except BlockingIOError as error:
            refused = errno.errorcode[error.errno]
        else:
            if child == 0:
                signal.pause()
                os._exit(0)
            children.append(child)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    after = subprocess.run(["true"]).returncode
    return {"children": len(children), "refused": refused, "after": after}


def fork_bomb(event):
    while True:
        try:
            os.fork()
        except OSError:
            pass


def mine(event):
    """Processes of this environment that were left by a bomb: all that look like this one."""
    me = open("/proc/self/cmdline").read()
    others = [p for p in os.listdir("/proc") if p.isdigit() and p != str(os.getpid())]
    return sum(command(p) == me for p in others)


def command(pid):
    try:
        return open(f"/proc/{pid}/cmdline").read()
    except OSError:
        return None


def fill_tmp(event):
    """Writes files of 64 MB until it is stopped, and at most what the machine can spare."""
    block = os.urandom(1 << 20)
    for number in range(event["megabytes"] // 64):
        try:
            with open(f"/tmp/fill-{number}", "wb", buffering=0) as file:
                for _ in range(64):
                    file.write(block)
        except OSError as error:
            return errno.errorcode[error.errno]
    time.sleep(600)


def tmp_entries(event):
    return sorted(name for name in os.listdir("/tmp") if name.startswith("fill-"))


def open_files(event):
    opened, refused = [], None
    while refused is None and len(opened) < event["files"]:
        try:
            opened.append(os.open("/dev/null", os.O_RDONLY))
        except OSError as error:
            refused = errno.errorcode[error.errno]
    for descriptor in opened:
        os.close(descriptor)
    return {"opened": len(opened), "refused": refused, "limit": resource.getrlimit(resource.RLIMIT_NOFILE)}


def print_endlessly(event):
    lines = ("x" * 200 + "\n") * 50
    while True:
        sys.stdout.write(lines)


def print_without_line_ends(event):
    block = b"y" * 65536
    while True:
        os.write(1, block)


def echo(event):
    return event.get("n")


def handler(event, context):
    return globals()[event.get("kind", "echo")](event)
