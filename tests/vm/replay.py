#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""replay.py DIR: the replay descriptor of the replica mounted at DIR, from the
inside of one process with several threads. Prints TAP lines without a plan.
"""
import errno
import fcntl
import os
import struct
import sys
import threading
import time

MAGIC = 0xf3
ORIGIN = 0x1122334455667788
TAG_FMT = "<QQQIIQqqqIIII"


def ioc(direction, nr, size):
    return direction << 30 | size << 16 | MAGIC << 8 | nr


REPLAY, UNTAG = ioc(1, 3, 16), ioc(0, 5, 0)
TAG, MARK = ioc(1, 4, struct.calcsize(TAG_FMT)), ioc(1, 6, 16)
FINAL, MTIME, DIR_MTIME, DIR2_MTIME = 1, 2, 4, 8

root = sys.argv[1]
dirfd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
failed = False


def check(name, good):
    global failed
    failed |= not good
    print("%s - %s" % ("ok" if good else "not ok", name), flush=True)


def code(fn, *args):
    try:
        fn(*args)
        return 0
    except OSError as e:
        return e.errno


def replay(origin=ORIGIN, flags=0, zero=0):
    # with a bytearray the result is ioctl's own
    return fcntl.ioctl(dirfd, REPLAY, bytearray(
        struct.pack("<QII", origin, flags, zero)))


def tag(fd, recno, low=0, ino=0, gen=0, flags=FINAL, version=0, mtime=(0, 0),
        dir_mtime=(0, 0), dir2_mtime=(0, 0), zero=0):
    fcntl.ioctl(fd, TAG, struct.pack(
        TAG_FMT, recno, low, ino, gen, flags, version, mtime[0], dir_mtime[0],
        dir2_mtime[0], mtime[1], dir_mtime[1], dir2_mtime[1], zero))


def untag(fd):
    fcntl.ioctl(fd, UNTAG)


def path(name):
    return os.path.join(root, name)


def in_thread(fn, *args):
    out = []
    t = threading.Thread(target=lambda: out.append(code(fn, *args)))
    t.start()
    t.join()
    return out[0]


check("a local change is refused", code(os.mkdir, path("x")) == errno.EROFS)
check("origin 0", code(replay, 0) == errno.EINVAL)
check("unknown flags", code(replay, ORIGIN, 0x40) == errno.EINVAL)
check("a field that must be zero", code(replay, ORIGIN, 0, 1) == errno.EINVAL)
fd = replay()
check("untag without tag", code(untag, fd) == 0)
check("record 0", code(tag, fd, 0) == errno.EINVAL)
check("unknown tag flags",
      in_thread(lambda: tag(fd, 1, flags=0x100)) == errno.EINVAL)
check("nanoseconds",
      code(lambda: tag(fd, 1, mtime=(0, 10 ** 9))) == errno.EINVAL)
check("a bad pointer", code(fcntl.ioctl, fd, TAG, 1) in
      (errno.EFAULT, errno.EINVAL))

tag(fd, 5, low=3, ino=77, gen=9, version=4,
    flags=FINAL | MTIME | DIR_MTIME, mtime=(1000, 5), dir_mtime=(2000, 6))
os.mkdir(path("d"))
st, top = os.stat(path("d")), os.stat(root)
check("the object's time", st.st_mtime_ns == 1000 * 10 ** 9 + 5)
check("the directory's time", top.st_mtime_ns == 2000 * 10 ** 9 + 6)
check("the origin xattr", os.getxattr(path("d"), "trusted.intermezzo.origin")
      == struct.pack("<QQIIQ", ORIGIN, 77, 9, 0, 4))
check("a second thread has no tag",
      in_thread(os.mkdir, path("x")) == errno.EROFS)
check("nor sees the xattr", in_thread(
    os.getxattr, path("d"), "trusted.intermezzo.origin") == errno.ENODATA)
check("nor may take the descriptor", in_thread(tag, fd, 6) == errno.EBUSY)
check("nor untag it", in_thread(untag, fd) == errno.EBUSY)
fd2 = replay()
check("one tag a thread", code(tag, fd2, 6) == errno.EBUSY)

tag(fd, 6, low=3, ino=78, gen=1, version=6, flags=FINAL | MTIME,
    mtime=(3000, 0))
f = os.open(path("d/f"), os.O_CREAT | os.O_WRONLY)
os.write(f, b"data")
os.close(f)
check("a file and its data", os.stat(path("d/f")).st_mtime == 3000)
tag(fd, 7, low=7, flags=FINAL | DIR_MTIME | DIR2_MTIME, dir_mtime=(4000, 1),
    dir2_mtime=(5000, 2))
os.rename(path("d/f"), path("g"))
check("both directories' times",
      (os.stat(path("d")).st_mtime_ns, os.stat(root).st_mtime_ns) ==
      (4000 * 10 ** 9 + 1, 5000 * 10 ** 9 + 2))
tag(fd, 8, low=8)
check("a failure under a tag", code(os.mkdir, path("d")) == errno.EEXIST)
untag(fd)
check("after untag", code(os.mkdir, path("x")) == errno.EROFS)

# A descriptor closed by another thread, while its thread lives on.
ready, go = threading.Event(), threading.Event()
result = []


def tagged():
    tag(fd2, 20)
    ready.set()
    go.wait()
    result.append(code(os.mkdir, path("late")))


t = threading.Thread(target=tagged)
t.start()
ready.wait()
os.close(fd2)
go.set()
t.join()
check("the tag goes with the descriptor", result == [errno.EROFS])

# A thread that ends without untag.
fd3 = replay()
check("a thread that just ends", in_thread(tag, fd3, 30) == 0)
for _ in range(100):    # join() returns a little before the thread has ended
    if code(tag, fd3, 31) == 0:
        break
    time.sleep(0.1)
else:
    check("leaves the descriptor to others", False)
untag(fd3)

fcntl.ioctl(fd, MARK, struct.pack("<QQ", 9, 9))
n = 0
for i in range(1, 40):
    err = code(lambda: os.close(replay(1000 + i)))
    if err:
        break
    n += 1
check("origins are bounded", (n, err) == (31, errno.ENOSPC))
os.setresuid(65534, 65534, 65534)
check("without privilege: open", code(replay) == errno.EPERM)
check("without privilege: tag", code(tag, fd, 50) == errno.EPERM)
sys.exit(failed)
