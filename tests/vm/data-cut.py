#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""data-cut.py DISK DIR: power cuts right after data was forced to the disk.

The lower is on a device-mapper device over DISK. After each way of forcing
data out, the device is suspended and what is on DISK is copied: that is what
a power cut would leave. In the copy, recovered, the data must be new, and the
log must know it: the DIRTY record was on the disk before the data. The lower's
journal commits only when it is asked to, so nothing helps by accident.
"""
import mmap
import os
import subprocess
import sys

disk, top = sys.argv[1:]
lower = os.path.dirname(top)
data = os.path.join(top, "data")
count = 0
SIZE = 65536


def sh(cmd, **kw):
    return subprocess.run(cmd, shell=True, check=True, text=True,
                          stdout=subprocess.PIPE, **kw).stdout


def ok(good, name, *more):
    global count
    count += 1
    print(f"{'' if good else 'not '}ok {count} - {name}")
    if not good:
        for m in more:
            print("#", m)
    sys.stdout.flush()


def aligned(byte):
    buf = mmap.mmap(-1, 4096)
    buf.write(byte * 4096)
    return buf


def msync(path):
    fd = os.open(path, os.O_RDWR)
    m = mmap.mmap(fd, SIZE)
    m[4096:8192] = b"n" * 4096
    m.flush()
    return fd, m


def direct(path):
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    os.pwritev(fd, [aligned(b"n")], 4096)
    return fd


def rwf(path):
    fd = os.open(path, os.O_RDWR)
    os.pwritev(fd, [b"n" * 4096], 4096, os.RWF_DSYNC)
    return fd


def fdatasync(path):
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, b"n" * 4096, 4096)
    os.fdatasync(fd)
    return fd


def closed(path):
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, b"n" * 4096, 4096)
    os.close(fd)
    fd = os.open(path, os.O_RDONLY)
    os.fdatasync(fd)
    return fd


def second(path):
    """A clean SYNC in between: the second DIRTY counts."""
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, b"n" * 10, 0)
    os.fdatasync(fd)
    sh("sleep 1")
    os.pwrite(fd, b"n" * 4096, 4096)
    os.fdatasync(fd)
    return fd


def copied(path):
    with open(path + ".from", "wb") as f:
        f.write(b"n" * 4096)
    src = os.open(path + ".from", os.O_RDONLY)
    fd = os.open(path, os.O_RDWR)
    os.copy_file_range(src, fd, 4096, 0, 4096)
    os.close(src)
    os.fdatasync(fd)
    return fd


# Files that are made, and cut before they are closed

def born_sync(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_SYNC, 0o600)
    os.pwrite(fd, b"n" * 8192, 0)
    return fd


def born_fsync(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.pwrite(fd, b"n" * 8192, 0)
    os.fchown(fd, 7, 8)
    os.fchmod(fd, 0o2750)
    os.utime(fd, ns=(1, 5 * 10**9 + 7))
    os.fsync(fd)
    return fd


def born_msync(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.ftruncate(fd, 8192)
    m = mmap.mmap(fd, 8192)
    m[:8192] = b"n" * 8192
    m.flush()
    return fd, m


def born_node(path):
    """No SYNC and no CLOSE of ours: the CREATE alone says it."""
    os.mknod(path, 0o600)
    fd = os.open(path, os.O_RDWR | os.O_DIRECT)
    os.pwritev(fd, [aligned(b"n")], 4096, os.RWF_DSYNC)
    return fd


BORN = (born_sync, born_fsync, born_msync, born_node)


def try_way(way):
    path = os.path.join(top, "file." + way.__name__)
    if way not in BORN:
        with open(path, "wb") as f:
            f.write(b"o" * SIZE)
        os.sync()
    before = int(sh(f"kmldump --info {top}").split("last=")[1].split()[0])
    keep = way(path)
    st = os.stat(path)

    sh("dmsetup suspend --noflush --nolockfs lower")
    sh(f"dd if={disk} of=/tmp/cut bs=1M iflag=direct 2>/dev/null")
    sh("dmsetup resume lower")
    for x in keep if isinstance(keep, tuple) else (keep,):
        x.close() if hasattr(x, "close") else os.close(x)

    sh(f"umount {top} && umount {lower}")
    sh(f"mount -t ext4 -o loop /tmp/cut {lower}")
    sh(f"mount -t intermezzo -o fileset=t {top} {top}")
    with open(path, "rb") as f:
        new = f.read()[4096:8192] == b"n" * 4096
    recs = [r for r in sh(f"kmldump {top}").splitlines()
            if int(r.split()[0]) > before and f"fid={st.st_ino}:" in r]
    kinds = [r.split()[1] for r in recs]
    ok(new, f"{way.__name__}: the data is there")
    ok(kinds[0] == ("CREATE" if way in BORN else "DIRTY") and
       kinds[-1] == "CLOSE" and ("UNKNOWN" in recs[-1] or way is closed),
       f"{way.__name__}: and the log says so", *recs)
    if way in BORN:
        now = os.stat(path)
        ok("ATTRS" in recs[-1] and
           f"mode=0{now.st_mode:o}" in recs[-1].split() and
           (way is not born_fsync or (now.st_mode, now.st_uid, now.st_gid,
                                      now.st_mtime_ns) ==
            (st.st_mode, st.st_uid, st.st_gid, st.st_mtime_ns)),
           f"{way.__name__}: and what it is", *recs)
    sh(f"umount {top} && umount {lower} && rm /tmp/cut")
    sh(f"mount -t ext4 -o commit=1000 /dev/mapper/lower {lower}")
    sh(f"mount -t intermezzo -o fileset=t,sync_ms=200 {top} {top}")


for w in (msync, direct, rwf, fdatasync, closed, second, copied) + BORN:
    try_way(w)
print(f"1..{count}")
