"""A zygote of the barest kind, for tests of the agent alone: loads the client, waits for its order, goes on as bootstrap."""

import json
import os
import runpy
import socket
import struct
import sys

LIBRARIES = os.path.join(os.path.dirname(os.path.realpath(__file__)), "python")
sys.path.append(LIBRARIES)
import awslambdaric.__main__

sys.path.remove(LIBRARIES)
print("loaded the client", flush=True)


def read(control, length):
    data = b""
    while len(data) < length:
        part = control.recv(length - len(data))
        if not part:
            os._exit(0)
        data += part
    return data


control = socket.socket(fileno=3)
control.sendall(b"ready\n")
(length,) = struct.unpack(">I", read(control, 4))
order = json.loads(read(control, length))
control.close()
os.environ.clear()
os.environ.update(order["environment"])
# As the shell and the interpreter of a fresh start add them.
os.environ.update(LC_CTYPE="C.UTF-8", PWD=os.getcwd())
bootstrap = os.path.join(os.path.dirname(os.path.realpath(__file__)), "bootstrap")
sys.argv = [bootstrap]
sys.path[0] = os.path.dirname(bootstrap)
runpy.run_path(bootstrap, run_name="__main__")
