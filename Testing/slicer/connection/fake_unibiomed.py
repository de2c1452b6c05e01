# SPDX-License-Identifier: Apache-2.0
"""What runs as ``python -m unibiomed.cli`` in tests of the process alone; the first argument of BEHAVIOUR decides."""

import json
import os
import signal
import subprocess
import sys
import time


def say(**message):
    print(json.dumps(message), flush=True)


behaviour = os.environ["FAKE_BEHAVIOUR"]
if behaviour == "disk full":
    print("OSError: [Errno 28] No space left on device: '/tmp/x'", file=sys.stderr)
    sys.exit(1)
if behaviour == "refuses":
    sys.stdin.readline()
    say(event="refused", code="protocol_mismatch", message="This engine speaks protocol 7, not 1.")
    sys.exit(3)
if behaviour == "silent":
    time.sleep(600)
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(f"child {child.pid}", file=sys.stderr, flush=True)
first = json.loads(sys.stdin.readline())
print("not for the hand-shake")
print("environment " + json.dumps(sorted(os.environ)), file=sys.stderr)
print("first " + json.dumps(first), file=sys.stderr, flush=True)
protocol = 2 if behaviour == "another protocol" else 1
say(event="ready", port=1, protocol=protocol, version="9.9", pid=os.getpid())
if behaviour == "crashes":
    sys.exit(11)
if behaviour == "stubborn":
    time.sleep(600)
sys.stdin.read()
