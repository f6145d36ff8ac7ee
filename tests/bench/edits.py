# SPDX-License-Identifier: GPL-2.0
"""edits.py FILE N: overwrites N different pages of FILE with random bytes, by
one open and close; prints how many bytes that were."""
import os
import random
import sys

path, n = sys.argv[1], int(sys.argv[2])
random.seed(1)
fd = os.open(path, os.O_WRONLY)
pages = random.sample(range(os.fstat(fd).st_size // 4096), n)
print(sum(os.pwrite(fd, os.urandom(4096), page * 4096) for page in pages))
os.close(fd)
