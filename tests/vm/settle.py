#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""settle.py work|patch DIR: recovery's verdicts, made to order.

work: on the mount, one change of each kind, each twice, in a directory of its
own (name.done, name.undone).
patch: on the unmounted lower: turns each of these records back into the intent
it was, takes the changes of *.undone back, and prints "RECNO STATE NAME" as
recovery must find. The last record (CHECKPOINT) goes.
"""
import ctypes
import glob
import os
import struct
import sys

ACL = struct.pack("<I", 2)
ACL_MODE = ACL + b"".join(struct.pack("<HHI", t, p, 0xffffffff)
                          for t, p in ((1, 6), (4, 4), (0x20, 0)))
ACL_USER = ACL + b"".join(struct.pack("<HHI", t, p, i) for t, p, i in (
    (1, 6, 0xffffffff), (2, 7, 1234), (4, 4, 0xffffffff),
    (0x10, 7, 0xffffffff), (0x20, 0, 0xffffffff)))
ACCESS = "system.posix_acl_access"
HDR, BLOCK = 256, 4096
ORIGIN = 0xabcdef


def exchange(a, b):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(-100, a.encode(), -100, b.encode(), 2):
        raise OSError(ctypes.get_errno(), "renameat2")


def write(path, text=""):
    with open(path, "w") as f:
        f.write(text)


def link_back(d):
    os.link(d + "/../keep/" + os.path.basename(d), d + "/f")


def keep(d):
    """A file d/f whose inode outlives the name."""
    write(d + "/f")
    os.link(d + "/f", d + "/../keep/" + os.path.basename(d))


def unlink_new(d):
    os.unlink(d + "/f")


def none(d):
    pass


def setacl(value):
    return lambda d: os.setxattr(d + "/f", ACCESS, value)


def file(mode):
    def make(d):
        write(d + "/f")
        os.chmod(d + "/f", mode)
    return make


def rename_back(d):
    os.rename(d + "/g", d + "/f")


def over_back(d):
    os.rename(d + "/g", d + "/f")
    os.link(d + "/../keep/" + os.path.basename(d), d + "/g")


def prepare_over(d):
    keep(d)
    os.rename(d + "/f", d + "/g")
    write(d + "/f")


def two_links(d):
    write(d + "/f")
    os.link(d + "/f", d + "/g")


# kind: before, the change, how it is taken back (None: it cannot be)
CASES = {
    "CREATE": (none, lambda d: os.close(os.open(d + "/f", os.O_CREAT |
                                                os.O_WRONLY)), unlink_new),
    "MKDIR": (none, lambda d: os.mkdir(d + "/f"), lambda d: os.rmdir(d + "/f")),
    "MKNOD": (none, lambda d: os.mkfifo(d + "/f"), unlink_new),
    "SYMLINK": (none, lambda d: os.symlink("to", d + "/f"), unlink_new),
    "LINK": (file(0o644), lambda d: os.link(d + "/f", d + "/g"),
             lambda d: os.unlink(d + "/g")),
    "UNLINK": (keep, unlink_new, link_back),
    "RMDIR": (lambda d: os.mkdir(d + "/f"), lambda d: os.rmdir(d + "/f"), None),
    "RENAME": (file(0o644), lambda d: os.rename(d + "/f", d + "/g"),
               rename_back),
    "RENAME-over": (prepare_over, lambda d: os.rename(d + "/f", d + "/g"),
                    over_back),
    "RENAME-exchange": (lambda d: (write(d + "/f"), os.mkdir(d + "/g")),
                        lambda d: exchange(d + "/f", d + "/g"),
                        lambda d: exchange(d + "/f", d + "/g")),
    "SETATTR-mode": (file(0o644), lambda d: os.chmod(d + "/f", 0o4711),
                     lambda d: os.chmod(d + "/f", 0o644)),
    "SETATTR-uid": (file(0o644), lambda d: os.chown(d + "/f", 7, -1),
                    lambda d: os.chown(d + "/f", 0, -1)),
    "SETATTR-gid": (file(0o644), lambda d: os.chown(d + "/f", -1, 7),
                    lambda d: os.chown(d + "/f", -1, 0)),
    "SETATTR-time": (lambda d: (write(d + "/f"),
                                os.utime(d + "/f", ns=(1, 12346))),
                     lambda d: os.utime(d + "/f", ns=(1, 12345)),
                     lambda d: os.utime(d + "/f", ns=(1, 12346))),
    "SETXATTR": (file(0o644),
                 lambda d: os.setxattr(d + "/f", "user.a", b"one"),
                 lambda d: os.removexattr(d + "/f", "user.a")),
    "SETXATTR-empty": (file(0o644),
                       lambda d: os.setxattr(d + "/f", "user.a", b""),
                       lambda d: os.removexattr(d + "/f", "user.a")),
    "SETXATTR-acl": (file(0o640), setacl(ACL_USER), setacl(ACL_MODE)),
    # kept in the mode alone
    "SETXATTR-mode": (file(0o600), setacl(ACL_MODE),
                      lambda d: os.chmod(d + "/f", 0o600)),
    "REMOVEXATTR": (lambda d: (write(d + "/f"),
                               os.setxattr(d + "/f", "user.a", b"x")),
                    lambda d: os.removexattr(d + "/f", "user.a"),
                    lambda d: os.setxattr(d + "/f", "user.a", b"x")),
    # the peer's record: times and xattr are made good
    "MKDIR-origin": (none, lambda d: os.mkdir(d + "/f"),
                     lambda d: os.rmdir(d + "/f")),
}


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def seal(data, o):
    struct.pack_into("<I", data, o + 8, 0)
    struct.pack_into("<I", data, o + 8, crc32c(data[o:o + HDR]))


def records(data):
    o = BLOCK
    while o < len(data):
        if data[o:o + 4] == b"IKML":
            yield o
            o += struct.unpack_from("<I", data, o + 4)[0]
        else:
            o = (o // BLOCK + 1) * BLOCK


def work(root):
    os.mkdir(root + "/keep")
    dirs = [(name, fate) for name in CASES for fate in ("done", "undone")]
    for name, fate in dirs:
        d = "%s/%s.%s" % (root, name, fate)
        os.mkdir(d)
        CASES[name][0](d)
    os.mkdir(root + "/mark")
    for name, fate in dirs:
        CASES[name][1]("%s/%s.%s" % (root, name, fate))


def patch(root):
    for path in sorted(glob.glob(root + "/.intermezzo/log/0*")):
        data = bytearray(open(path, "rb").read())
        if any(records(data)):
            break
    wanted = [(name, fate) for name in CASES for fate in ("done", "undone")]
    todo, began = list(wanted), 0
    for o in records(data):
        recno, = struct.unpack_from("<Q", data, o + 24)
        op, = struct.unpack_from("<H", data, o + 40)
        flags, = struct.unpack_from("<I", data, o + 44)
        length, = struct.unpack_from("<I", data, o + 4)
        nlen, = struct.unpack_from("<H", data, o + 248)
        name = bytes(data[o + HDR:o + HDR + nlen])
        if not began:
            if name == b"mark":
                began = recno + 1
            continue
        if op == 15:
            data[o:o + length] = bytes(length)
            continue
        if op in (12, 13, 14):      # a file's data: none is written here
            sys.exit("a data record among the changes: %d" % recno)
        case, fate = todo.pop(0)
        data[o + 42] = 1            # INTENT
        if op <= 4:                 # what it has made was not known
            data[o + 56:o + 72] = bytes(16)
        # what only the operation has made known: times, too
        if not case.startswith("SETATTR"):
            data[o + 160:o + 168] = bytes(8)
            data[o + 184:o + 188] = bytes(4)
        data[o + 168:o + 184] = bytes(16)
        data[o + 188:o + 196] = bytes(8)
        if case.endswith("-origin"):
            n = 1 if fate == "done" else 2
            struct.pack_into("<I", data, o + 44, flags | 1 << 7)
            struct.pack_into("<qq", data, o + 160, 1000, 2000)
            struct.pack_into("<QQQQIIQ", data, o + 200, ORIGIN, n, n,
                             77, 1, 0, 5)
        struct.pack_into("<Q", data, o + 48, began)     # scan_from
        seal(data, o)
        undo = CASES[case][2]
        if fate == "undone" and undo:
            undo("%s/%s.%s" % (root, case, fate))
        print(recno, "aborted" if fate == "undone" and undo else "done",
              "%s.%s" % (case, fate))
    if todo:
        sys.exit("records are missing: %r" % todo)
    with open(path, "r+b") as f:
        f.write(data)


{"work": work, "patch": patch}[sys.argv[1]](sys.argv[2])
