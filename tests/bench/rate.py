# SPDX-License-Identifier: GPL-2.0
"""rate.py DEV SECONDS LIMIT: bytes that DEV has sent in so many seconds, as a
fraction of what LIMIT bytes per second allow."""
import sys
import time

path = "/sys/class/net/%s/statistics/tx_bytes" % sys.argv[1]
seconds, limit = float(sys.argv[2]), float(sys.argv[3])


def sent():
    with open(path) as f:
        return int(f.read()), time.monotonic()


bytes0, time0 = sent()
time.sleep(seconds)
bytes1, time1 = sent()
print("%.3f" % ((bytes1 - bytes0) / (time1 - time0) / limit))
