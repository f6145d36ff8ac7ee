# SPDX-License-Identifier: GPL-2.0
"""lag.py SERVER REPLICA N: seconds from close() of a small new file in the
directory SERVER until it can be read whole in REPLICA, of the same machine,
N files one after the other; prints p50 and p99. Waits by inotify, not by
looking again and again."""
import ctypes
import os
import select
import sys
import time


def whole(path, content):
    try:
        with open(path, "rb") as f:
            return f.read() == content
    except OSError:
        return False


def lags(server, replica, n):
    """seconds, sorted"""
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init1(os.O_CLOEXEC)
    # IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE
    if libc.inotify_add_watch(watch, os.fsencode(replica), 0x2 | 0x8 | 0x80 | 0x100) < 0:
        sys.exit("cannot watch %s: %s" % (replica, os.strerror(ctypes.get_errno())))
    found = []
    for i in range(n):
        name, content = "lag%d" % i, b"%d\n" % i * 500
        with open(os.path.join(server, name), "wb") as f:
            f.write(content)
        begin = time.monotonic()
        while not whole(os.path.join(replica, name), content):
            if not select.select([watch], [], [], 60)[0]:
                sys.exit("%s is not there after 60 s" % name)
            os.read(watch, 65536)
        found.append(time.monotonic() - begin)
        time.sleep(0.3)
    os.close(watch)
    return sorted(found)


if __name__ == "__main__":
    n = int(sys.argv[3])
    v = lags(sys.argv[1], sys.argv[2], n)
    print("close to visible, p50 of %d files\t%.3f\ts" % (n, v[n // 2]))
    print("close to visible, p99 of %d files\t%.3f\ts" % (n, v[min(n - 1, n * 99 // 100)]))
