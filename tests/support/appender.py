"""A program that appends events to the study "mine" for ever, and says after each append how many there are.

Its arguments: the storage's URL, and how many events it appends at once.
"""

APPENDER = """
import sys
from rung.storage import open_storage
from rung.storage.base import Summary
from rung.trials.events import Reported
log = open_storage(sys.argv[1]).open("mine")
size = int(sys.argv[2])
count = sum(1 for _ in log.read())
while True:
    numbers = range(count, count + size)
    log.append([Reported(number, 1, {"loss": 0.5}) for number in numbers], Summary(trials=count))
    count += size
    sys.stdout.write(f"{count}\\n")
    sys.stdout.flush()
"""
