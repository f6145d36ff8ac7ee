#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""kmlcheck.py DUMP DIR: the log of a fileset, from record 1 on, against its
tree: replays kmldump's output on a naive model of names and attributes and
compares that with what is in DIR. Says what differs, and exits with 1.

Each name must be there, mean the same object, and no other may be. Each
object's mode, owner and (regular files) size and mtime must be those of its
last record, its user xattrs those that were logged: what the tree has without
a record, or a record says without the tree, shows. A file that the log leaves
dirty is an error unless --dirty is given.
"""
import array
import fcntl
import os
import re
import stat
import sys

FS_IOC_GETVERSION = 0x80087601
WHITEOUT = "whiteout"


def unescape(text):
    return re.sub(rb"\\(\d{3})", lambda m: bytes([int(m[1], 8)]),
                  text.encode())


class Model:
    def __init__(self):
        self.names = {}         # (dir fid, name) -> fid
        self.info = {}          # fid -> fields of its last record
        self.xattrs = {}        # fid -> {name: value}
        self.dirty = {}         # fid -> recno
        self.unnamed = set()    # fids that began without a name
        self.errors = []
        self.count = 0

    def bad(self, rec, text):
        self.errors.append("record %d %s: %s" % (rec["recno"], rec["op"], text))

    def take(self, line):
        words = line.rstrip("\n").split(" ")
        rec = dict(w.split("=", 1) for w in words[3:])
        rec["recno"], rec["op"], rec["state"] = int(words[0]), words[1], words[2]
        self.count += 1
        if rec["state"] == "aborted":
            return
        flags = rec.get("flags", "").split(",")
        fid = rec.get("fid")
        getattr(self, "op_" + rec["op"].lower())(rec, fid, flags)
        if fid and "mode" in rec:
            self.info[fid] = rec

    def add(self, rec, key, fid):
        if key in self.names:
            self.bad(rec, "%s exists" % (key,))
        self.names[key] = fid

    def remove(self, rec, key, fid):
        was = self.names.pop(key, None)
        if was == WHITEOUT:     # a device; the record did not say which
            return
        if was != fid:
            self.bad(rec, "%s was %s, not %s" % (key, was, fid))

    def op_create(self, rec, fid, flags):
        self.add(rec, (rec["dir"], unescape(rec["name"])), fid)
    op_mkdir = op_mknod = op_symlink = op_create

    def op_link(self, rec, fid, flags):
        self.op_create(rec, fid, flags)
        if "FIRST" in flags:    # what it was given before is its own business
            self.unnamed.add(fid)

    def op_unlink(self, rec, fid, flags):
        self.remove(rec, (rec["dir"], unescape(rec["name"])), fid)
        if "LAST" in flags:
            self.dirty.pop(fid, None)
    op_rmdir = op_unlink

    def op_rename(self, rec, fid, flags):
        src = (rec["dir"], unescape(rec["name"]))
        dst = (rec["dir2"], unescape(rec["name2"]))
        old = rec.get("old")
        if old == fid:
            return      # two links of one file: no effect
        if "EXCHANGE" in flags:
            self.remove(rec, dst, old)
            self.remove(rec, src, fid)
            self.names[src], self.names[dst] = old, fid
            return
        if old:
            self.remove(rec, dst, old)
            if "LAST" in flags:
                self.dirty.pop(old, None)
        self.remove(rec, src, fid)
        self.add(rec, dst, fid)
        if "WHITEOUT" in flags:
            self.add(rec, src, WHITEOUT)

    def op_setattr(self, rec, fid, flags):
        pass

    def op_setxattr(self, rec, fid, flags):
        self.xattrs.setdefault(fid, {})[rec["name"]] = \
            unescape(rec.get("data", ""))

    def op_removexattr(self, rec, fid, flags):
        self.xattrs.setdefault(fid, {}).pop(rec["name"], None)

    def op_dirty(self, rec, fid, flags):
        self.dirty.setdefault(fid, rec["recno"])

    def op_close(self, rec, fid, flags):
        self.dirty.pop(fid, None)

    def op_sync(self, rec, fid, flags):
        if "STILL" in flags:
            self.dirty.setdefault(fid, rec["recno"])
        else:
            self.dirty.pop(fid, None)

    def op_checkpoint(self, rec, fid, flags):
        pass
    op_mark = op_checkpoint


def fid_of(path, st):
    """The FID; of what cannot be opened only its first half."""
    if stat.S_ISREG(st.st_mode) or stat.S_ISDIR(st.st_mode):
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            gen = array.array("I", [0, 0])
            fcntl.ioctl(fd, FS_IOC_GETVERSION, gen)
        finally:
            os.close(fd)
        return "%d:%d" % (st.st_ino, gen[0])
    return "%d:" % st.st_ino


def same(fid, path, st):
    now = fid_of(path, st)
    return fid == now if not now.endswith(":") else fid.startswith(now)


def compare(model, root, errors):
    seen = set()

    def check(path, fid, st):
        rec = model.info.get(fid)
        if not rec:
            return      # the root
        if int(rec["mode"], 8) != st.st_mode and \
                not stat.S_ISLNK(st.st_mode):
            errors.append("%r: mode %o, logged %s (%d)" %
                          (path, st.st_mode, rec["mode"], rec["recno"]))
        if (int(rec.get("uid", 0)), int(rec.get("gid", 0))) != \
                (st.st_uid, st.st_gid):
            errors.append("%r: owner %d:%d, logged otherwise (%d)" %
                          (path, st.st_uid, st.st_gid, rec["recno"]))
        if not stat.S_ISREG(st.st_mode):
            return
        if int(rec.get("size", 0)) != st.st_size:
            errors.append("%r: size %d, logged %s (%d)" %
                          (path, st.st_size, rec.get("size", 0), rec["recno"]))
        now = "%d.%09d" % divmod(st.st_mtime_ns, 10 ** 9)
        if rec.get("mtime") != now:
            errors.append("%r: mtime %s, logged %s (%d)" %
                          (path, now, rec.get("mtime"), rec["recno"]))
        if "recovered" not in rec and fid not in model.unnamed:
            want = {k: v for k, v in model.xattrs.get(fid, {}).items()
                    if k.startswith("user.")}
            have = {k: os.getxattr(path, k, follow_symlinks=False)
                    for k in os.listxattr(path, follow_symlinks=False)
                    if k.startswith("user.")}
            if want != have:
                errors.append("%r: xattrs %r, logged %r" % (path, have, want))

    def walk(path, fid):
        for name in os.listdir(path):
            if fid == top and name == b".intermezzo":
                continue
            sub = os.path.join(path, name)
            st = os.lstat(sub)
            key = (fid, name)
            seen.add(key)
            if key not in model.names:
                errors.append("%r is there and not logged" % sub)
                continue
            want = model.names[key]
            if want == WHITEOUT:
                if not stat.S_ISCHR(st.st_mode) or st.st_rdev:
                    errors.append("%r is no whiteout" % sub)
                continue
            if not same(want, sub, st):
                errors.append("%r is %s, logged as %s" %
                              (sub, fid_of(sub, st), want))
                continue
            check(sub, want, st)
            if stat.S_ISDIR(st.st_mode):
                walk(sub, want)

    top = fid_of(root, os.lstat(root))
    walk(root, top)
    for key in model.names.keys() - seen:
        errors.append("logged and not there: %r" % (key,))
    return len(seen)


def main():
    args = [a for a in sys.argv[1:] if a != "--dirty"]
    model = Model()
    with open(args[0]) as dump:
        for line in dump:
            model.take(line)
    errors = model.errors
    n = compare(model, os.fsencode(args[1]), errors)
    if "--dirty" not in sys.argv:
        # a write may log DIRTY just after another process took the last
        # name away; such a file needs no CLOSE
        named = set(model.names.values())
        for fid, recno in model.dirty.items():
            if fid not in named:
                continue
            errors.append("%s is dirty since record %d" % (fid, recno))
    for e in errors[:40]:
        print(e)
    print("%d records, %d names, %d errors" % (model.count, n, len(errors)))
    sys.exit(1 if errors else 0)


main()
