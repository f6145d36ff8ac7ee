#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# vfs-tags.py MOUNT [check]: replays records of a peer on a fresh replica by
# tagged system calls and says, as TAP, whether tree, records and last_rcvd are
# as the tags said. With check: whether that is so after a remount.
import ctypes, errno, fcntl, os, struct, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
INFO = 2 << 30 | 944 << 16 | 0xf3 << 8 | 1
REPLAY = 1 << 30 | 16 << 16 | 0xf3 << 8 | 3
TAG = 1 << 30 | 80 << 16 | 0xf3 << 8 | 4
UNTAG = 0xf3 << 8 | 5
MARK = 1 << 30 | 16 << 16 | 0xf3 << 8 | 6
FINAL, MTIME, DIR, DIR2 = 1, 2, 4, 8
ORIGIN = "trusted.intermezzo.origin"
PEER = 0x1122334455667788
n = 0


def ok(good, desc, *what):
    global n
    n += 1
    print("ok" if good else "not ok", n, "-", desc)
    if not good:
        print("#", *what)


def is_(got, want, desc):
    ok(got == want, desc, "got", got, "want", want)


def info():
    buf = bytearray(944)
    fcntl.ioctl(top, INFO, buf)
    return buf


def last():
    return struct.unpack_from("Q", info(), 40)[0]


def rcvd():
    for i in range(32):
        o, recno, low = struct.unpack_from("<QQQ", info(), 176 + 24 * i)
        if o == PEER:
            return recno, low
    return None


def tag(recno, flags, ino=0, low=1, mtime=0, dir=0, dir2=0):
    fcntl.ioctl(replay, TAG, struct.pack(
        "QQQIIQqqqIIII", recno, low, ino, 7 if ino else 0, flags, recno * 10,
        mtime, dir, dir2, 11, 22, 33, 0))


def untag():
    fcntl.ioctl(replay, UNTAG)


def fails(want, desc, fn, *args):
    try:
        fn(*args)
        got = "success"
    except OSError as e:
        got = errno.errorcode[e.errno]
    is_(got, want, desc)


def elsewhere(fn, *args):
    """In another process, which has no tag."""
    pid = os.fork()
    if not pid:
        try:
            fn(*args)
            os._exit(0)
        except OSError as e:
            os._exit(e.errno)
    return errno.errorcode.get(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def times(path):
    return os.lstat(path).st_mtime_ns


def T(sec, ns):
    return sec * 10**9 + ns


def write(path, data):
    f = os.open(path, os.O_WRONLY)
    os.write(f, data)
    os.close(f)


top = os.open(sys.argv[1], os.O_RDONLY)
os.chdir(sys.argv[1])
if len(sys.argv) > 2:
    is_(rcvd(), (40, 9), "last_rcvd after a remount")
    sys.exit()

for desc, fn, args in (("mkdir", os.mkdir, ("x",)),
                       ("create", os.mknod, ("x",)),
                       ("chmod", os.chmod, (".", 0o777)),
                       ("utime", os.utime, (".",)),
                       ("setxattr", os.setxattr, (".", "user.x", b"1")),
                       ("tmpfile", os.open, (".", os.O_TMPFILE | os.O_RDWR))):
    fails("EROFS", "a replica refuses " + desc, fn, *args)
is_(last(), 0, "and logs nothing")

fails("EINVAL", "no replay of nobody", fcntl.ioctl, top, REPLAY,
      struct.pack("QII", 0, 0, 0))
fails("EINVAL", "no unknown flags", fcntl.ioctl, top, REPLAY,
      struct.pack("QII", PEER, 4, 0))
replay = fcntl.ioctl(top, REPLAY, bytearray(struct.pack("QII", PEER, 0, 0)))
fails("EINVAL", "no unknown tag flags", tag, 1, 16)

tag(1, FINAL | MTIME | DIR, 100, 1, mtime=1000, dir=2000)
os.mkdir("d")
is_(times("d"), T(1000, 11), "a directory has the time of the tag")
is_(times("."), T(2000, 22), "and so has its parent")
is_(rcvd(), (1, 1), "last_rcvd has moved")
is_(os.getxattr("d", ORIGIN), struct.pack("<QQIIQ", PEER, 100, 7, 0, 10),
    "its origin is known to who is tagged")
is_(os.listxattr("d"), [ORIGIN], "and listed")
is_(elsewhere(os.getxattr, "d", ORIGIN), "ENODATA", "but to nobody else")
is_(elsewhere(os.mkdir, "e"), "EROFS", "and nobody else may change anything")

tag(2, FINAL | MTIME | DIR, 101, 2, mtime=1001, dir=2001)
os.symlink("target", "s")
is_((times("s"), times(".")), (T(1001, 11), T(2001, 22)), "a symlink")
tag(3, FINAL | MTIME | DIR, 102, 2, mtime=1002, dir=2002)
os.mkfifo("p")
is_((times("p"), times(".")), (T(1002, 11), T(2002, 22)), "a fifo")
tag(4, FINAL | MTIME | DIR, 103, 2, mtime=1003, dir=2003)
os.mknod("f", 0o644)
is_((times("f"), times(".")), (T(1003, 11), T(2003, 22)), "a file")
tag(5, FINAL | DIR, 103, 3, dir=2004)
os.link("f", "g")
is_((times("f"), times(".")), (T(1003, 11), T(2004, 22)), "a link")
tag(6, FINAL | DIR | DIR2, 103, 3, dir=2005, dir2=2006)
os.rename("g", "d/g")
is_((times("."), times("d")), (T(2005, 22), T(2006, 33)), "rename")
tag(7, FINAL | MTIME, 103, 3, mtime=1007)
os.chmod("f", 0o600)
is_((os.stat("f").st_mode & 0o777, times("f")), (0o600, T(1007, 11)),
    "chmod and a time in one")
tag(8, FINAL, 103, 3)
os.setxattr("f", "user.a", b"1")
is_(rcvd(), (8, 3), "last_rcvd follows")

tag(9, 0, 104)
os.mkdir("n")
is_(rcvd(), (8, 3), "a change that is not the final one does not move it")
tag(9, FINAL, 104)
fails("ENOTEMPTY", "what fails", os.rmdir, "d")
is_(rcvd(), (8, 3), "does not either")
fails("EEXIST", "nor what the VFS refuses", os.mkdir, "d")
is_(rcvd(), (8, 3), "moves it")

before = last()
os.setxattr("f", ORIGIN, b"x" * 32)
os.removexattr("n", ORIGIN)
is_(last(), before, "the module's xattrs are written without a record")
is_(os.getxattr("f", ORIGIN), b"x" * 32, "and are there")

tag(10, FINAL | MTIME, 103, 4, mtime=1010)
f = os.open("f", os.O_WRONLY)
os.write(f, b"data")
is_(rcvd(), (8, 3), "data that is written does not move last_rcvd")
os.close(f)
is_(rcvd(), (10, 4), "the close does")
is_(times("f"), T(1010, 11), "and sets the time")
tag(11, FINAL | DIR, 103, 4, dir=2011)
os.unlink("d/g")
is_((rcvd(), times("d")), ((11, 4), T(2011, 22)), "unlink")
tag(12, FINAL | DIR, 104, 5, dir=2012)
os.rmdir("n")
is_((rcvd(), times(".")), ((12, 5), T(2012, 22)), "rmdir")
tag(13, FINAL | MTIME | DIR, 105, 5, mtime=1013, dir=2013)
f = os.open(".", os.O_TMPFILE | os.O_RDWR)
os.write(f, b"tmp")
libc.linkat(-100, b"/proc/self/fd/%d" % f, -100, b"t", 0x400)
os.close(f)
is_(os.getxattr("t", ORIGIN)[:12], struct.pack("<QI", PEER, 105),
    "what was linked first has its origin")

is_(elsewhere(tag, 99, FINAL), "EBUSY", "one thread at a time is tagged")
untag()
fails("EROFS", "without the tag it is a replica again", os.mkdir, "x")
fcntl.ioctl(replay, MARK, struct.pack("QQ", 40, 9))
is_(rcvd(), (40, 9), "a mark moves last_rcvd")

dump = subprocess.run(["kmldump", "--from", "1", "--follow", "--count",
                       str(last()), sys.argv[1]], stdout=subprocess.PIPE,
                      text=True).stdout
first = dict(x.split("=") for x in dump.splitlines()[0].split(" ")[3:])
is_({k: first.get(k) for k in (
    "origin", "origin_recno", "origin_low", "origin_fid", "origin_version",
    "flags", "mtime", "dir_mtime")}, {
        "origin": "%016x" % PEER, "origin_recno": "1", "origin_low": "1",
        "origin_fid": "100:7", "origin_version": "10", "flags": "FINAL",
        "mtime": "1000.000000011", "dir_mtime": "2000.000000022"},
    "the record says it all")
ops = [w[1] for w in (l.split(" ") for l in dump.splitlines())]
is_(ops, ["MKDIR", "SYMLINK", "MKNOD", "CREATE", "LINK", "RENAME", "SETATTR",
          "SETXATTR", "MKDIR", "RMDIR", "DIRTY", "CLOSE", "UNLINK", "RMDIR",
          "DIRTY", "LINK", "CLOSE", "MARK"], "and there is no other")
