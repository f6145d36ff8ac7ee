#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""data-files.py DIR PLAIN: what programs do with open files, on the mount as
on the plain lower. TAP lines on stdout."""
import ctypes
import errno
import fcntl
import mmap
import os
import select
import shutil
import signal
import struct
import subprocess
import sys

top, plain = sys.argv[1:]
count = 0
libc = ctypes.CDLL(None, use_errno=True)


def ok(good, name, *more):
    global count
    count += 1
    print(f"{'' if good else 'not '}ok {count} - {name}")
    if not good:
        for m in more:
            print("#", m)
    sys.stdout.flush()


def fails(code, fn, *args):
    try:
        fn(*args)
    except OSError as e:
        return e.errno == code
    return False


def new(where, name, data=b""):
    path = os.path.join(where, name)
    with open(path, "wb") as f:
        f.write(data)
    return path


def holes(where):
    path = new(where, "holes")
    fd = os.open(path, os.O_RDWR)
    os.pwrite(fd, b"x" * 4096, 65536)
    os.ftruncate(fd, 262144)
    os.fsync(fd)
    res = [os.lseek(fd, 0, os.SEEK_DATA), os.lseek(fd, 0, os.SEEK_HOLE),
           os.lseek(fd, 65536, os.SEEK_HOLE), os.lseek(fd, 0, os.SEEK_END),
           os.lseek(fd, -10, os.SEEK_CUR),
           fails(errno.ENXIO, os.lseek, fd, 1 << 30, os.SEEK_DATA),
           fails(errno.EINVAL, os.lseek, fd, -1, os.SEEK_SET)]
    os.close(fd)
    frag = subprocess.run(["filefrag", "-v", path], stdout=subprocess.PIPE,
                          text=True).stdout
    res.append(frag.count("extent found"))
    return res


def locks(where):
    path = new(where, "locks", b"x")
    a = os.open(path, os.O_RDWR)
    res = []
    fcntl.lockf(a, fcntl.LOCK_EX)
    pid = os.fork()
    if not pid:
        b = os.open(path, os.O_RDWR)
        bad = 0
        for fn in (fcntl.lockf, fcntl.flock):
            try:
                fn(b, fcntl.LOCK_EX | fcntl.LOCK_NB)
                bad += 1
            except OSError:
                pass
        os._exit(bad)
    res.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    fcntl.lockf(a, fcntl.LOCK_UN)
    fcntl.flock(a, fcntl.LOCK_EX)
    b = os.open(path, os.O_RDWR)
    res.append(fails(errno.EAGAIN, fcntl.flock, b,
                     fcntl.LOCK_EX | fcntl.LOCK_NB))
    os.close(a)
    os.close(b)
    r = os.open(path, os.O_RDONLY)
    fcntl.fcntl(r, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    hit = []
    signal.signal(signal.SIGIO, lambda *_: (
        hit.append(1), fcntl.fcntl(r, fcntl.F_SETLEASE, fcntl.F_UNLCK)))
    pid = os.fork()
    if not pid:
        os.close(os.open(path, os.O_WRONLY))
        os._exit(0)
    os.waitpid(pid, 0)
    res.append(hit)
    os.close(r)
    return res


def programs(where):
    path = os.path.join(where, "prog")
    shutil.copy("/bin/sleep", path)
    res = [subprocess.run([path, "0"]).returncode]
    p = subprocess.Popen([path, "100"])
    while os.readlink(f"/proc/{p.pid}/exe") != path:
        pass
    res.append(fails(errno.ETXTBSY, os.open, path, os.O_WRONLY))
    res.append(fails(errno.ETXTBSY, os.truncate, path, 0))
    # exec() has not mapped all of it yet
    mapped = 0
    while mapped < 2 and p.poll() is None:
        with open(f"/proc/{p.pid}/maps") as f:
            mapped = sum(path in line for line in f)
    res.append(mapped > 1)
    res.append(os.readlink(f"/proc/{p.pid}/exe") == path)
    p.kill()
    p.wait()
    fd = os.open(path, os.O_WRONLY)
    res.append(fails(errno.ETXTBSY, subprocess.run, [path, "0"]))
    os.close(fd)
    with open(path, "rb") as f:
        m = mmap.mmap(f.fileno(), 0, mmap.MAP_PRIVATE)
        m[0] = 0x55
        res.append(f.read(4))
    return res


def modes(where):
    path = os.path.join(where, "readonly")
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o400)
    res = [os.write(fd, b"abc")]
    os.close(fd)
    pid = os.fork()
    if not pid:
        os.setuid(65534)
        good = fails(errno.EACCES, os.open, path, os.O_RDONLY)
        os._exit(0 if good else 1)
    res.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    fd = os.open(path, os.O_RDONLY)
    res.append(fails(errno.EBADF, os.write, fd, b"x"))
    res.append(fails(errno.EACCES, mmap.mmap, fd, 3))
    res.append(fails(errno.EINVAL, os.ftruncate, fd, 1))
    res.append(fails(errno.ENOTTY, fcntl.ioctl, fd, 0x40086601 | 0x7f00))
    os.close(fd)
    return res


def limits(where):
    path = new(where, "limits")
    pid = os.fork()
    if not pid:
        import resource
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
        fd = os.open(path, os.O_RDWR)
        res = [os.pwrite(fd, b"x" * 10000, 0)]
        for fn, args in ((os.pwrite, (fd, b"x", 6000)),
                         (os.ftruncate, (fd, 6000)),
                         (os.posix_fallocate, (fd, 0, 6000))):
            res.append(fails(errno.EFBIG, fn, *args))
        os._exit(0 if res == [5000, True, True, True] else 1)
    res = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])]
    fd = os.open(path, os.O_RDWR)
    res.append(fails(errno.EFBIG, os.pwrite, fd, b"x", 1 << 62))
    res.append(fails(errno.EFBIG, os.ftruncate, fd, 1 << 62))
    m = mmap.mmap(fd, 5000)
    os.ftruncate(fd, 0)
    pid = os.fork()
    if not pid:
        m[0] = 1
        os._exit(0)
    res.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    os.close(fd)
    return res


def atime(where):
    path = new(where, "atime", b"x" * 100)
    os.utime(path, (1000, 2000))
    with open(path, "rb") as f:
        f.read()
    res = [os.stat(path).st_atime > 1000]
    os.utime(path, (1000, 2000))
    fd = os.open(path, os.O_RDONLY | os.O_NOATIME)
    os.read(fd, 10)
    os.close(fd)
    res.append(os.stat(path).st_atime)
    return res


def others(where):
    path = new(where, "others", b"0123456789" * 1000)
    fd = os.open(path, os.O_RDWR)
    res = []
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    res.append(libc.readahead(fd, ctypes.c_long(0), ctypes.c_size_t(8192)))
    res.append(libc.sync_file_range(fd, ctypes.c_long(0), ctypes.c_long(0), 7))
    r, w = os.pipe()
    res.append(os.sendfile(w, fd, 5, 100))
    res.append(os.read(r, 10))
    res.append(len(struct.pack("i", struct.unpack("i", fcntl.ioctl(
        fd, 0x80087601, b"\0" * 8)[:4])[0])))
    # reading without waiting, cached and not
    res.append(os.preadv(fd, [bytearray(100)], 0, os.RWF_NOWAIT))
    b = mmap.mmap(-1, 4096)
    d = os.open(path, os.O_RDONLY | os.O_DIRECT)
    res.append(os.preadv(d, [b], 4096))
    res.append(b[0:10])
    res.append(fails(errno.EINVAL, os.preadv, d, [bytearray(5)], 3))
    os.close(d)
    p = select.poll()
    try:
        p.register(fd)
        res.append(len(p.poll(0)))
    except OSError as e:
        res.append(e.errno)
    # appending and the position
    a = os.open(path, os.O_RDWR | os.O_APPEND)
    os.write(a, b"end")
    res.append(os.lseek(a, 0, os.SEEK_CUR))
    os.pwrite(a, b"more", 0)
    res.append(os.fstat(fd).st_size)
    os.ftruncate(fd, 0)
    os.write(a, b"x")
    res.append(os.fstat(fd).st_size)
    os.close(a)
    os.close(fd)
    return res


for test in (holes, locks, programs, modes, limits, atime, others):
    want = test(plain)
    got = test(top)
    ok(got == want, f"{test.__name__}: as on the lower", got, want)
print(f"1..{count}")
