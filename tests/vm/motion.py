# SPDX-License-Identifier: GPL-2.0
"""motion.py SNAPSHOT LOG TRUTH: a snapshot that was taken while the tree
changed, plus the log from its first recno on, is the tree at the end. Reads
what `frames dump` wrote; parts that the snapshot missed are fetched by the
command in $SUB (a FID is appended), as a client would when a record names a
FID that it does not know."""
import os
import subprocess
import sys

EXCHANGE, WHITEOUT = 1, 2
tree = {}       # directory FID -> name -> FID
known = set()   # FIDs met
fetched = moved = 0


def fields(line):
    words = line.split(" ")
    return words[0], dict(w.split("=", 1) for w in words[1:] if "=" in w)


def read_tree(lines, into):
    """A snapshot's frames; returns its begin and end."""
    start = end = cur = None
    for line in lines:
        kind, f = fields(line.rstrip("\n"))
        if kind == "BEGIN":
            start = int(f["start"]), f["root"]
        elif kind == "DIR":
            cur = into[f["fid"]] = {}
        elif kind == "ENTRY":
            cur[f["name"]] = f["fid"]
        elif kind == "END":
            end = int(f["recno"])
    if end is None:
        sys.exit("the snapshot has no END")
    return start, end


def need(fid, is_dir):
    """Something the log names and the copy does not have."""
    global fetched
    known.add(fid)
    if not is_dir or fid in tree:
        return
    fetched += 1
    out = subprocess.run(os.environ["SUB"] + fid, shell=True, check=True,
                         stdout=subprocess.PIPE).stdout.decode()
    part = {}
    read_tree(out.splitlines(), part)
    tree.setdefault(fid, {})
    for d, names in part.items():
        tree[d] = names
        known.update(names.values())


def replay(f):
    op, fid, name, d = f["op"], f["fid"], f["name"], f["dir"]
    if op in ("CREATE", "MKNOD", "SYMLINK", "LINK", "MKDIR"):
        need(d, True)
        if op == "MKDIR":
            tree.setdefault(fid, {})
        known.add(fid)
        tree[d][name] = fid
    elif op in ("UNLINK", "RMDIR"):
        need(d, True)
        tree[d].pop(name, None)
    elif op == "RENAME":
        need(d, True)
        need(f["dir2"], True)
        need(fid, int(f["mode"], 8) & 0o170000 == 0o40000)
        flags = int(f["flags"], 16)
        tree[d].pop(name, None)
        if flags & EXCHANGE:
            if f["old"] not in known:
                need(f["old"], True)
            tree[d][name] = f["old"]
        tree[f["dir2"]][f["name2"]] = fid


def reach(t, fid, path, out):
    for name, child in t.get(fid, {}).items():
        out[path + "/" + name] = child
        if child in t:
            reach(t, child, path + "/" + name, out)


with open(sys.argv[1]) as s:
    (start, root), end = read_tree(s, tree)
for names in tree.values():
    known.update(names.values())
known.add(root)
expect = start + 1
with open(sys.argv[2]) as log:
    for line in log:
        kind, f = fields(line.rstrip("\n"))
        if kind != "RECORD":
            continue
        if int(f["recno"]) != expect:
            sys.exit("record %s comes, not %d" % (f["recno"], expect))
        if expect <= end:
            moved += 1
        expect += 1
        if f["state"] == "2":
            replay(f)
truth = {}
with open(sys.argv[3]) as s:
    (_, troot), tend = read_tree(s, truth)
if tend >= expect:
    sys.exit("the log ends at %d, not %d" % (expect - 1, tend))
got, want = {}, {}
reach(tree, root, "", got)
reach(truth, troot, "", want)
print("# %d names, %d records during the snapshot, %d after, %d parts fetched"
      % (len(want), moved, expect - 1 - end, fetched))
bad = [(p, got.get(p), want.get(p)) for p in sorted(set(got) | set(want))
       if got.get(p) != want.get(p)]
for p, g, w in bad[:20]:
    print("# %s: %s, in the tree %s" % (p, g, w))
if bad:
    sys.exit("%d names differ" % len(bad))
if not moved:
    sys.exit("nothing happened during the snapshot: this tested nothing")
