#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""data-sync.py DIR: records of files that stay open. TAP lines on stdout.

Wants the mount to have sync_ms=200. On a busy host a file may look idle when
SYNC is written, so that STILL or not is only looked at where it is certain.
"""
import ctypes
import fcntl
import mmap
import os
import re
import struct
import subprocess
import sys
import time

top = sys.argv[1]
count = 0


def ok(good, name, *more):
    global count
    count += 1
    print(f"{'' if good else 'not '}ok {count} - {name}")
    if not good:
        for m in more:
            print("#", m)
    sys.stdout.flush()


def last():
    out = subprocess.run(["kmldump", "--info", top], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return int(re.search(r"\blast[= ]+(\d+)", out).group(1))


def records(start, fid=None):
    """(op, flags, ranges, recno) of the records after start."""
    end = last()
    if end <= start:
        return []
    out = subprocess.run(["kmldump", "--from", str(start + 1), "--to",
                          str(end), top], check=True, stdout=subprocess.PIPE,
                         text=True).stdout
    res = []
    for line in out.splitlines():
        f = line.split()
        kv = dict(x.split("=", 1) for x in f[3:] if "=" in x)
        if fid and kv.get("fid") != fid:
            continue
        ranges = []
        if kv.get("ranges"):
            ranges = [tuple(map(int, r.split("+")))
                      for r in kv["ranges"].split(",")]
        res.append((f[1], kv.get("flags", ""), ranges, int(f[0]), kv))
    return res


def ops(recs):
    return [r[0] + ("|STILL" if "STILL" in r[1] else "") for r in recs]


def fid_of(fd):
    gen = struct.unpack("i", fcntl.ioctl(fd, 0x80087601, b"\0" * 8)[:4])[0]
    return f"{os.fstat(fd).st_ino}:{gen & 0xffffffff}"


def wait_for(start, fid, what, secs=30):
    """Until the file has a record of that kind after start."""
    end = time.time() + secs
    while True:
        recs = records(start, fid)
        if what in ops(recs) or time.time() > end:
            return recs
        time.sleep(0.05)


def wait_ranges(start, fid, secs=30):
    """Until the file has a SYNC with ranges after start; all its ranges."""
    end = time.time() + secs
    while True:
        recs = records(start, fid)
        got = sorted(x for r in recs for x in r[2])
        if got or time.time() > end:
            return got, recs
        time.sleep(0.05)


def new(name, size=0):
    path = os.path.join(top, name)
    with open(path, "wb") as f:
        f.write(b"x" * size)
    return path


def long_open():
    path = new("long", 1000)
    fd = os.open(path, os.O_RDWR)
    fid = fid_of(fd)
    at = last()
    os.pwrite(fd, b"y" * 10, 100)
    got, recs = wait_ranges(at, fid)
    ok(ops(recs)[0] == "DIRTY" and got == [(100, 10)],
       "a written file that stays open gets SYNC", recs)
    recs = wait_for(at, fid, "SYNC")
    ok(ops(recs) in (["DIRTY", "SYNC|STILL", "SYNC"], ["DIRTY", "SYNC"]),
       "an idle one gets one without STILL", recs)
    at = last()
    time.sleep(0.6)
    ok(records(at, fid) == [], "and then nothing", records(at, fid))
    os.pwrite(fd, b"y" * 10, 200)
    os.close(fd)
    recs = records(at, fid)
    ok(ops(recs) == ["DIRTY", "CLOSE"] and recs[1][2] == [(200, 10)],
       "the next change is DIRTY again", recs)


def steady():
    path = new("steady")
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    fid = fid_of(fd)
    at = last()
    end = time.time() + 1.5
    n = 0
    while time.time() < end:
        os.write(fd, b"z" * 100)
        n += 100
        time.sleep(0.01)
    os.close(fd)
    recs = records(at, fid)
    o = ops(recs)
    seen = sum(length for r in recs for _, length in r[2])
    ok(o[0] == "DIRTY" and o[-1] == "CLOSE" and o.count("SYNC|STILL") >= 2,
       "a steady writer is seen every period", o)
    ok(seen == n, "each byte once", f"{seen} of {n}", recs)


def mapped():
    path = new("mapped", 64 * 1024)
    fd = os.open(path, os.O_RDWR)
    fid = fid_of(fd)
    m = mmap.mmap(fd, 64 * 1024)
    os.close(fd)
    at = last()
    m[5000] = 1
    got, recs = wait_ranges(at, fid)
    ok(ops(recs)[0] == "DIRTY" and got == [(4096, 4096)],
       "a store through a mapping is seen by SYNC", recs)
    for i in range(5):
        at0 = at
        at = recs[-1][3]
        m[5001 + i] = 1
        got, recs = wait_ranges(at, fid)
        ok(got == [(4096, 4096)], f"and again in the same page ({i})", recs)
    recs = wait_for(at0, fid, "SYNC")
    ok("SYNC" in ops(recs), "an idle mapping is clean", recs)
    at = last()
    m[5010] = 2
    m[9000] = 2
    m.close()
    time.sleep(0.1)
    recs = [r for r in records(at, fid) if "STILL" not in r[1] or r[2]]
    got = sorted(set(x for r in recs for x in r[2]))
    ok(ops(recs)[0] == "DIRTY" and ops(recs)[-1] == "CLOSE" and
       got in ([(4096, 8192)], [(4096, 4096), (8192, 4096)]),
       "a store after that is DIRTY again", recs)


def fsyncs():
    path = new("fsyncs", 100000)
    fd = os.open(path, os.O_RDWR)
    fid = fid_of(fd)
    at = last()
    good = True
    for i in range(30):
        os.pwrite(fd, b"f" * 7, i * 1000)
        os.fsync(fd) if i % 2 else os.fdatasync(fd)
    recs = records(at, fid)
    want = [[(i * 1000, 7)] for i in range(30)]
    got = [r[2] for r in recs if r[2]]
    ok(ops(recs)[0] == "DIRTY" and got == want and
       recs[0][0] == "DIRTY" and all("STILL" in r[1] for r in recs if r[2]),
       "each fsync is a SYNC|STILL with its range", recs[:4])
    at = last()
    os.fsync(fd)
    os.fsync(fd)
    good = [r for r in records(at, fid) if r[2]] == []
    ok(good, "an fsync of nothing has no ranges", records(at, fid))
    os.close(fd)


def unlinked():
    path = new("unlinked", 1000)
    fd = os.open(path, os.O_RDWR)
    fid = fid_of(fd)
    at = last()
    os.pwrite(fd, b"u" * 10, 0)
    os.unlink(path)
    os.pwrite(fd, b"u" * 10, 100)
    os.ftruncate(fd, 50)
    os.fsync(fd)
    m = mmap.mmap(fd, 50)
    m[3] = 1
    m.close()
    time.sleep(0.5)
    os.close(fd)
    recs = records(at, fid)
    o = ops(recs)
    ok("UNLINK" in o and o.index("UNLINK") == len(o) - 1 and "CLOSE" not in o,
       "a file without a name has no records", recs)

    # its space is free at once
    free = os.statvfs(top).f_bfree
    path = new("big", 8 << 20)
    os.sync()
    used = free - os.statvfs(top).f_bfree
    os.unlink(path)
    os.sync()
    now = free - os.statvfs(top).f_bfree
    ok(used * 4 > now * 5 or now < 100,
       "the space of a removed file comes back at once", used, now)


def tmpfile():
    at = last()
    fd = os.open(top, os.O_RDWR | os.O_TMPFILE, 0o644)
    fid = fid_of(fd)
    os.pwrite(fd, b"t" * 5000, 0)
    os.fsync(fd)
    time.sleep(0.3)
    ok(records(at, fid) == [], "O_TMPFILE has no records", records(at, fid))
    path = os.path.join(top, "named")
    libc = ctypes.CDLL(None, use_errno=True)
    rc = libc.linkat(-100, f"/proc/self/fd/{fd}".encode(), -100,
                     path.encode(), 0x400)
    ok(rc == 0, "it can be linked", os.strerror(ctypes.get_errno()))
    os.pwrite(fd, b"t" * 10, 6000)
    os.close(fd)
    recs = records(at, fid)
    o = [x for x in ops(recs) if not x.startswith("SYNC")]
    whole = sorted(x for r in recs for x in r[2])
    ok(o == ["DIRTY", "LINK", "CLOSE"] and "FIRST" in recs[1][1] and
       (whole[0] == (0, 6010) or whole[:1] == [(0, 5000)]),
       "linked it is new, with all its data", recs)
    at = last()
    with open(path, "r+b") as f:
        f.write(b"q")
    ok(ops(records(at, fid)) == ["DIRTY", "CLOSE"],
       "and then a file like others", records(at, fid))

    fd = os.open(top, os.O_RDWR | os.O_TMPFILE, 0o644)
    at = last()
    os.pwrite(fd, b"t" * 5000, 0)
    os.close(fd)
    ok(records(at) == [], "a temporary file leaves nothing", records(at))


def two_writers():
    path = new("two", 1000)
    a = os.open(path, os.O_RDWR)
    b = os.open(path, os.O_RDWR)
    fid = fid_of(a)
    at = last()
    os.pwrite(a, b"1", 1)
    os.close(a)
    ok("CLOSE" not in ops(records(at, fid)),
       "no CLOSE while there is another writer")
    os.pwrite(b, b"2", 2)
    os.close(b)
    recs = records(at, fid)
    ok(ops(recs)[0] == "DIRTY" and ops(recs)[-1] == "CLOSE" and
       ops(recs).count("CLOSE") == 1, "the last one logs CLOSE", recs)
    at = last()
    fd = os.open(path, os.O_RDWR)
    os.close(fd)
    ok(records(at) == [], "no CLOSE without a change", records(at))


def privs():
    path = new("suid", 1000)
    os.chmod(path, 0o4777)
    at = last()
    fd = os.open(path, os.O_RDONLY)
    fid = fid_of(fd)
    pid = os.fork()
    if not pid:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        fd = os.open(path, os.O_WRONLY)
        os.write(fd, b"s")
        os._exit(0)
    os.waitpid(pid, 0)
    recs = [r for r in records(at, fid) if r[0] != "SYNC"]
    ok(ops(recs) == ["SETATTR", "DIRTY", "CLOSE"] and
       recs[0][4].get("mode") == "0100777",
       "a write that takes the set-uid bit away logs that", recs)
    cap = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    os.setxattr(path, "security.capability", cap)
    at = last()
    with open(path, "r+b") as f:
        f.write(b"c")
    recs = [r for r in records(at, fid) if r[0] != "SYNC"]
    ok(ops(recs) == ["REMOVEXATTR", "DIRTY", "CLOSE"],
       "and of the capability", recs)
    at = last()
    os.chmod(path, 0o4777)
    pid = os.fork()
    if not pid:
        os.setuid(65534)
        os.truncate(path, 10)
        os._exit(0)
    os.waitpid(pid, 0)
    recs = [r for r in records(at, fid) if r[0] != "SYNC"]
    ok(sorted(ops(recs)) == ["CLOSE", "DIRTY", "SETATTR", "SETATTR"] and
       os.stat(path).st_mode & 0o7777 == 0o777,
       "and so does truncate", recs)
    os.close(fd)


def settle():
    """When data is on disk and nothing happens, the log says so."""
    path = new("settle", 100000)
    os.sync()
    end = time.time() + 20
    got = None
    while time.time() < end and not got:
        recs = [r for r in records(max(0, last() - 1)) if r[0] == "CHECKPOINT"]
        got = [r for r in recs if int(r[4]["scan_from"]) == r[3]]
        time.sleep(0.2)
    ok(bool(got), "a CHECKPOINT with nothing to recover", recs)
    at = last()
    time.sleep(1.5)
    ok(last() == at, "and no further one", records(at))
    os.unlink(path)


def newborn():
    at = last()
    path = os.path.join(top, "newborn")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    fid = fid_of(fd)
    os.write(fd, b"n" * 10)
    os.fchmod(fd, 0o640)
    got, recs = wait_ranges(at, fid)
    ok(ops(recs)[0] == "CREATE" and ops(recs)[1].startswith("SYNC") and
       "ATTRS" in recs[1][1] and recs[1][4]["mode"] == "0100640" and
       got == [(0, 10)], "a new file that stays open gets SYNC with its mode",
       recs)
    wait_for(at, fid, "SYNC")
    at = last()
    os.fchmod(fd, 0o600)
    os.write(fd, b"n")
    os.close(fd)
    recs = records(at, fid)
    ok(ops(recs) == ["SETATTR", "DIRTY", "CLOSE"],
       "and then is a file like others", recs)
    at = last()
    fd = os.open(path + ".idle", os.O_WRONLY | os.O_CREAT, 0o600)
    os.mknod(path + ".node")
    time.sleep(1.5)
    os.write(fd, b"n")
    os.close(fd)
    recs = [r for r in records(at) if r[0] != "CHECKPOINT"]
    ok(ops(recs) == ["CREATE", "CREATE", "DIRTY", "CLOSE"],
       "one to which nothing happens for a while is dirty no more", recs)


for test in (long_open, steady, mapped, fsyncs, unlinked, tmpfile, two_writers,
             privs, newborn, settle):
    test()
print(f"1..{count}")
