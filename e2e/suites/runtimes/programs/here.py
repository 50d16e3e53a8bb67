"""Gives each event of the JSON list on standard input to a program's handler, without Lambda: here.py MODULE CONTEXT.

Prints the handler's answers as lines {"answer": …} among what the program itself prints.
"""
import importlib
import json
import sys
from types import SimpleNamespace

program = importlib.import_module(sys.argv[1])
context = SimpleNamespace(**json.loads(sys.argv[2]))
for event in json.load(sys.stdin):
    print(json.dumps({"answer": program.handler(event, context)}), flush=True)
