#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
# vfs-records.py MOUNT: does one thing after the other on a fresh mount and says
# for each, as TAP, whether it left the records that it should have. One
# process: a machine that is emulated starts programs slowly.
import array, ctypes, fcntl, os, stat, struct, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
INFO = 2 << 30 | 944 << 16 | 0xf3 << 8 | 1
steps = []


def last():
    buf = bytearray(944)
    fcntl.ioctl(top, INFO, buf)
    return struct.unpack_from("Q", buf, 40)[0]


def step(desc, want, fn):
    first = last() + 1
    try:
        fn()
    except OSError:
        pass
    steps.append((desc, want, first, last()))


def rename2(a, b, flags):
    libc.renameat2(-100, a.encode(), -100, b.encode(), flags)


def make(path, data=b""):
    f = os.open(path, os.O_CREAT | os.O_WRONLY)
    if data:
        os.write(f, data)
    os.close(f)


def user(fn):
    def child():
        pid = os.fork()
        if not pid:
            try:
                os.setgroups([])
                os.setgid(4000)
                os.setuid(4000)
                fn()
            except OSError:
                pass
            os._exit(0)
        os.waitpid(pid, 0)
    return child


def each(*fns):
    def run():
        for fn in fns:
            try:
                fn()
            except OSError:
                pass
    return run


def acl(*entries):
    return struct.pack("<I", 2) + b"".join(
        struct.pack("<HHI", *e) for e in entries)


def link_fd(f, path):
    # os.link() cannot: it follows no symlink
    libc.linkat(-100, b"/proc/self/fd/%d" % f, -100, path.encode(), 0x400)


def unnamed(then=None):
    f = os.open(".", os.O_TMPFILE | os.O_RDWR)
    os.write(f, b"abc")
    os.fchmod(f, 0o600)
    os.setxattr(f, "user.t", b"1")
    if then:
        link_fd(f, then)
    os.close(f)


def empty_unnamed():
    f = os.open(".", os.O_TMPFILE | os.O_RDWR)
    link_fd(f, "t1")
    os.close(f)


def unlinked():
    f = os.open("u", os.O_CREAT | os.O_RDWR)
    os.unlink("u")
    os.write(f, b"abc")
    os.fchmod(f, 0o600)
    os.setxattr(f, "user.t", b"1")
    os.utime(f)
    os.close(f)


def chattr(path):
    buf = array.array("l", [0])
    f = os.open(path, os.O_RDONLY)
    fcntl.ioctl(f, 0x80086601, buf)
    buf[0] |= 0x40          # nodump
    fcntl.ioctl(f, 0x40086602, buf)
    os.close(f)


def newborn(path, *fns, flags=os.O_WRONLY):
    """A file is made, and while it is open these are done to it."""
    def run():
        f = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        for fn in fns:
            fn(f)
        os.close(f)
    return run


def fill(f):
    os.write(f, b"abc")


def poke(path):
    f = os.open(path, os.O_WRONLY)
    os.write(f, b"x")
    os.close(f)


def rewrite(path, fn):
    f = os.open(path, os.O_WRONLY)
    os.write(f, b"x")
    fn(f)
    os.close(f)


os.chdir(sys.argv[1])
os.umask(0o022)
top = os.open(".", os.O_RDONLY)
full = acl((1, 6, 0xffffffff), (2, 7, 7), (4, 4, 0xffffffff),
           (16, 7, 0xffffffff), (32, 0, 0xffffffff))
cap = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)

step("create", "CREATE name=f", lambda: make("f"))
step("mkdir", "MKDIR name=d; MKDIR name=e", lambda: os.makedirs("d/e"))
step("mkfifo", "MKNOD name=p", lambda: os.mkfifo("p"))
step("mknod", "MKNOD name=c",
     lambda: os.mknod("c", 0o600 | stat.S_IFCHR, os.makedev(1, 3)))
step("mknod of a regular file", "CREATE name=r", lambda: os.mknod("r"))
step("symlink", "SYMLINK name=s data=../x", lambda: os.symlink("../x", "s"))
step("link", "LINK name=g", lambda: os.link("f", "g"))
step("odd names", r"CREATE name=\012\134\377", lambda: make(b"\n\\\xff"))
step("open of what is there", "", lambda: make("f"))
step("unlink of one of two", "UNLINK name=g", lambda: os.unlink("g"))
step("unlink of the last", "UNLINK flags=LAST name=p", lambda: os.unlink("p"))
step("rmdir", "RMDIR flags=LAST name=e", lambda: os.rmdir("d/e"))
step("rename", "RENAME name=f name2=f2", lambda: os.rename("f", "f2"))
step("rename to another directory", "RENAME name=f2 name2=f2",
     lambda: os.rename("f2", "d/f2"))
make("f")
make("g")
step("rename over", "RENAME flags=LAST name=f name2=g",
     lambda: os.rename("f", "g"))
os.link("g", "h")
step("rename over one of two", "RENAME name=f2 name2=g",
     lambda: os.rename("d/f2", "g"))
step("rename of a link over another", "LINK name=h2",
     each(lambda: os.link("h", "h2"), lambda: os.rename("h", "h2")))
os.unlink("h2")
step("exchange", "RENAME flags=EXCHANGE name=g name2=d",
     lambda: rename2("g", "d", 2))
step("whiteout", "RENAME flags=WHITEOUT name=h name2=w",
     lambda: rename2("h", "w", 4))
os.unlink("h")
step("no replacing", "", lambda: rename2("g", "d", 1))
step("rmdir of what is full",
     "MKDIR name=x; RMDIR aborted flags=LAST name=g",
     each(lambda: os.mkdir("g/x"), lambda: os.rmdir("g")))
step("what the VFS refuses", "",
     each(lambda: os.mkdir("g"), lambda: os.rmdir("d"),
          lambda: os.rename("g", "g/x"), lambda: os.link("g", "y"),
          lambda: os.unlink("none"), lambda: os.unlink("g")))

step("chmod", "SETATTR valid=1", lambda: os.chmod("d", 0o600))
step("chown", "SETATTR valid=6", lambda: os.chown("d", 1000, 1000))
step("chgrp", "SETATTR valid=4", lambda: os.chown("d", -1, 1001))
step("owner and mode as they are", "",
     each(lambda: os.chown("d", 1000, 1001), lambda: os.chmod("d", 0o600)))
step("chown of set-id", "SETATTR valid=1; SETATTR valid=3",
     each(lambda: os.chmod("d", 0o6755), lambda: os.chown("d", 1000, -1)))
step("utime", "SETATTR valid=8", lambda: os.utime("d"))
step("utime of a symlink", "SETATTR valid=8",
     lambda: os.utime("s", ns=(1, 5 * 10**9 + 7), follow_symlinks=False))
step("atime alone", "", lambda: libc.utimensat(
    -100, b"d", struct.pack("qqqq", 5, 5, 0, (1 << 30) - 2), 0))
step("reading", "", lambda: (open("d").read(), os.listdir("g"),
                             os.readlink("s")))
step("setxattr", "SETXATTR name=user.a data=1",
     lambda: os.setxattr("d", "user.a", b"1"))
step("that is there", "",
     lambda: os.setxattr("d", "user.a", b"1", os.XATTR_CREATE))
step("that is not", "",
     lambda: os.setxattr("d", "user.b", b"1", os.XATTR_REPLACE))
step("removexattr", "REMOVEXATTR name=user.a",
     lambda: os.removexattr("d", "user.a"))
step("of none", "", lambda: os.removexattr("d", "user.a"))
step("an unknown kind", "SETXATTR aborted name=foo.a data=1",
     lambda: os.setxattr("d", "foo.a", b"1"))
step("an ACL", "SETXATTR name=system.posix_acl_access",
     lambda: os.setxattr("d", "system.posix_acl_access", full))
step("a default ACL", "SETXATTR name=system.posix_acl_default",
     lambda: os.setxattr("g", "system.posix_acl_default", full))
step("without ACLs", "REMOVEXATTR name=system.posix_acl_default",
     lambda: os.removexattr("g", "system.posix_acl_default"))
step("chattr", "", lambda: chattr("d"))
step("xattrs of the module", "",
     lambda: os.setxattr("d", "trusted.intermezzo.x", b"1"))
os.removexattr("d", "system.posix_acl_access")
os.setxattr("d", "security.capability", cap)
os.chmod("d", 0o6777)
step("a write by another takes set-id and capabilities away",
     "REMOVEXATTR name=security.capability; SETATTR valid=1; "
     "DIRTY; CLOSE ranges=0+1", user(lambda: poke("d")))
step("and they are gone", "SETATTR valid=1",
     each(lambda: os.getxattr("d", "security.capability") and make("no"),
          lambda: os.stat("d").st_mode & 0o6000 and make("no"),
          lambda: os.chmod("d", 0o6777)))
step("so does truncation", "DIRTY; CLOSE; SETATTR valid=1",
     user(lambda: os.truncate("d", 0)))

step("made, filled and given owner, mode and times",
     "CREATE name=n1; CLOSE flags=ATTRS ranges=0+3",
     newborn("n1", fill, lambda f: os.fchown(f, 1000, 1001),
             lambda f: os.fchmod(f, 0o4750),
             lambda f: os.utime(f, ns=(1, 5 * 10**9 + 7))))
step("the same, empty", "CREATE name=n2; CLOSE flags=ATTRS",
     newborn("n2", lambda f: os.fchmod(f, 0o640)))
step("cut to a size", "CREATE name=n3; CLOSE",
     newborn("n3", lambda f: os.ftruncate(f, 100)))
step("allocated", "CREATE name=n4; CLOSE",
     newborn("n4", lambda f: os.posix_fallocate(f, 0, 5000)))
step("nothing but an fsync", "CREATE name=n5", newborn("n5", os.fsync))
step("a mode after the close", "CREATE name=n6; SETATTR valid=1",
     each(newborn("n6"), lambda: os.chmod("n6", 0o640)))
step("a mode of one that nobody has open for writing",
     "CREATE name=n7; SETATTR valid=1",
     newborn("n7", lambda f: os.fchmod(f, 0o640), flags=os.O_RDONLY))
step("a mode of one that was never open", "CREATE name=n8; SETATTR valid=1",
     each(lambda: os.mknod("n8"), lambda: os.chmod("n8", 0o640)))
step("mknod and a write later", "CREATE name=n9; CLOSE ranges=0+1",
     each(lambda: os.mknod("n9"), lambda: poke("n9")))
step("an fsync between two modes", "CREATE name=n10; "
     "SYNC flags=STILL,ATTRS ranges=0+3; SETATTR valid=1; CLOSE",
     newborn("n10", fill, lambda f: os.fchmod(f, 0o640), os.fsync,
             lambda f: os.fchmod(f, 0o600)))
step("capabilities behind data and owner", "CREATE name=n11; "
     "SYNC flags=STILL,ATTRS ranges=0+3; SETXATTR name=security.capability; "
     "CLOSE",
     newborn("n11", fill, lambda f: os.fchown(f, 1000, 1001),
             lambda f: os.setxattr(f, "security.capability", cap)))
step("capabilities in front of an owner", "CREATE name=n12; "
     "SETXATTR name=security.capability; "
     "REMOVEXATTR name=security.capability; SETATTR valid=6",
     newborn("n12", lambda f: os.setxattr(f, "security.capability", cap),
             lambda f: os.fchown(f, 1000, 1001)))
step("capabilities behind the data of an old file",
     "DIRTY; SYNC flags=STILL ranges=0+1; "
     "SETXATTR name=security.capability; CLOSE",
     lambda: rewrite("n1", lambda f: os.setxattr(f, "security.capability",
                                                 cap)))
step("an xattr in front of data",
     "CREATE name=n13; SETXATTR name=user.a data=1; DIRTY; CLOSE ranges=0+3",
     newborn("n13", lambda f: os.setxattr(f, "user.a", b"1"), fill))
step("between data and a mode", "CREATE name=n14; "
     "SETXATTR name=user.a data=1; SETATTR valid=1; CLOSE ranges=0+3",
     newborn("n14", fill, lambda f: os.setxattr(f, "user.a", b"1"),
             lambda f: os.fchmod(f, 0o640)))
step("an ACL behind a mode", "CREATE name=n15; SYNC flags=STILL,ATTRS; "
     "SETXATTR name=system.posix_acl_access; CLOSE",
     newborn("n15", lambda f: os.fchmod(f, 0o640), lambda f: os.setxattr(
         f, "system.posix_acl_access", full)))
step("other names while it is open", "CREATE name=n16; LINK name=n17; "
     "RENAME name=n16 name2=n18; UNLINK name=n17; "
     "CLOSE flags=ATTRS ranges=0+3",
     newborn("n16", fill, lambda f: os.fchmod(f, 0o640),
             lambda f: os.link("n16", "n17"),
             lambda f: os.rename("n16", "n18"), lambda f: os.unlink("n17")))
step("no name in the end", "CREATE name=n19; UNLINK flags=LAST name=n19",
     newborn("n19", fill, lambda f: os.fchmod(f, 0o640),
             lambda f: os.unlink("n19"), lambda f: os.fchmod(f, 0o600)))
os.mkdir("free")
os.chmod("free", 0o777)
step("a write that takes set-id away",
     "CREATE name=x; CLOSE flags=ATTRS ranges=0+3",
     user(newborn("free/x", lambda f: os.fchmod(f, 0o4711), fill)))
step("and it is gone", "",
     each(lambda: os.stat("free/x").st_mode & 0o6000 and make("no")))

step("a file without a name", "", unnamed)
step("an empty one gets a name, while it is open for writing",
     "DIRTY; LINK flags=FIRST name=t1; CLOSE", empty_unnamed)
step("one with data", "DIRTY; LINK flags=FIRST name=t2; CLOSE ranges=0+3",
     lambda: unnamed("t2"))
step("unlinked and open", "CREATE name=u; UNLINK flags=LAST name=u", unlinked)
os.chmod("d", 0o700)
step("without rights no record", "", user(each(
    lambda: os.chmod("d", 0o777), lambda: os.chown("d", 4000, -1),
    lambda: os.utime("d"), lambda: os.unlink("d"),
    lambda: os.rename("d", "y"), lambda: make("y"),
    lambda: os.setxattr("d", "user.x", b"1"), lambda: os.truncate("d", 0))))

got = {}
want_last = last()
dump = subprocess.run(["kmldump", "--from", "1", "--follow", "--count",
                       str(want_last), sys.argv[1]], stdout=subprocess.PIPE,
                      text=True).stdout
keep = ("flags=", "name=", "name2=", "valid=", "ranges=")
for line in dump.splitlines():
    w = line.split(" ")
    if w[1] == "CHECKPOINT":
        continue
    text = [w[1]] + ([] if w[2] == "done" else [w[2]])
    text += [x for x in w[3:] if x.startswith(keep) or
             (x.startswith("data=") and len(x) < 30)]
    got[int(w[0])] = " ".join(text)

for n, (desc, want, first, to) in enumerate(steps, 1):
    have = "; ".join(got[i] for i in range(first, to + 1) if i in got)
    print("ok" if have == want else "not ok", n, "-", desc)
    if have != want:
        print("# got: ", have)
        print("# want:", want)
