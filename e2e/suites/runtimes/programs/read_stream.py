"""Reads a function's stream with boto3 and prints, a line each, the parts as they come and how it ended: read_stream.py NAME EVENT [COMMAND…].

After the first part the command runs: what the function waits for can be made of it.
"""
import json
import subprocess
import sys

import boto3

name, event, *command = sys.argv[1:]
response = boto3.client("lambda").invoke_with_response_stream(FunctionName=name, Payload=event)
for part in response["EventStream"]:
    if "PayloadChunk" in part:
        print(json.dumps({"part": part["PayloadChunk"]["Payload"].decode()}))
        if command:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            command = []
    else:
        print(json.dumps({"complete": part["InvokeComplete"]}))
