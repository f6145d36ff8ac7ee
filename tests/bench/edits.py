# SPDX-License-Identifier: GPL-2.0
"""edits.py FILE N: overwrites N different pages of FILE with random bytes, by
one open and close; prints how many bytes that were."""
import os
import random
import sys

PAGE = 4096


def edit(path, n):
    """{offset: new bytes}"""
    done = {}
    fd = os.open(path, os.O_WRONLY)
    for page in random.sample(range(os.fstat(fd).st_size // PAGE), n):
        done[page * PAGE] = os.urandom(PAGE)
        os.pwrite(fd, done[page * PAGE], page * PAGE)
    os.close(fd)
    return done


if __name__ == "__main__":
    random.seed(1)
    print(len(edit(sys.argv[1], int(sys.argv[2]))) * PAGE)
