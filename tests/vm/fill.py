# SPDX-License-Identifier: GPL-2.0
"""User data that takes the place of log blocks, for tests/vm/133-log-cut.

fill.py load DIR LOWER ROUNDS REUSED
    records and data, in turn, until the disk is full; says in the block log
    what is on disk for certain, and in REUSED which blocks of it were the log's
fill.py copies DEV MARKS TO REUSED
    of the blocks that are data for certain at entry TO and were the log's: how
    many have an older copy in the journal of DEV that a revoke makes void, and
    how many have one that recovery will write
fill.py check DIR MARKS TO
    is all the data there, at entry TO of the block log, and nothing else in its
    blocks?
fill.py strip DEV
    makes the revokes of the journal on DEV empty
"""
import array, errno, fcntl, os, re, struct, subprocess, sys

BLOCK = 4096
BLOCKS = 256            # of one file
RECORDS = 4400          # of a round; each takes a block of the log
FIEMAP = 0xc020660b
EXTENTS = 500           # of one FIEMAP


def pattern(k, b):
    return (b"fill %06d %06d\n" % (k, b) * (BLOCK // 19 + 1))[:BLOCK]


def mark(text):
    subprocess.run(["dmsetup", "message", "crash", "0", "mark", text],
                   check=True)


def blocks_of(path):
    """The blocks of the disk that a file has."""
    got = set()
    f = os.open(path, os.O_RDONLY)
    start = 0
    while True:
        buf = array.array("B", struct.pack("=QQIIII", start, 1 << 62, 0, 0,
                                           EXTENTS, 0) + bytes(56 * EXTENTS))
        fcntl.ioctl(f, FIEMAP, buf)
        n = struct.unpack_from("=I", buf, 20)[0]
        for i in range(n):
            at, phys, size = struct.unpack_from("=QQQ", buf, 32 + 56 * i)
            got.update(range(phys // BLOCK, (phys + size) // BLOCK))
            start = at + size
        if n < EXTENTS:
            break
    os.close(f)
    return got


def log_now(log):
    got = set()
    for name in os.listdir(log):
        try:
            got |= blocks_of(os.path.join(log, name))
        except FileNotFoundError:
            pass        # given back just now
    return got


def records(top, r):
    """The log goes round, and grows if it may.

    A transaction's copies stay in the journal until nothing of that or an
    older one has to be written to its place any more. Revoked blocks have not;
    so now and then something is changed that stays as it is: a file's block of
    attributes.
    """
    for i in range(RECORDS):
        path = "/proc/self/fd/%d/x%d" % (top, i % 64)
        try:
            if i % 100 == 0:
                path = "/proc/self/fd/%d/pin%d.%d" % (top, r, i)
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
            os.setxattr(path, "user.x", b"%08d" % i * 380)
        except OSError as e:
            if e.errno != errno.ENOSPC:
                raise


def fill(top, k):
    """On disk, or not there: False."""
    name = "fill%d" % k
    f = os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=top)
    try:
        for b in range(BLOCKS):
            assert os.write(f, pattern(k, b)) == BLOCK
        os.fsync(f)
    except OSError as e:
        if e.errno != errno.ENOSPC:
            raise
        os.unlink(name, dir_fd=top)
        return False
    finally:
        os.close(f)
    return True


def load(top, lower, rounds, reused):
    log = os.path.join(lower, ".intermezzo/log")
    top = os.open(top, os.O_RDONLY)
    for i in range(64):
        os.close(os.open("x%d" % i, os.O_CREAT | os.O_WRONLY, dir_fd=top))
    n = 0
    files = []
    for r in range(rounds):
        records(top, r)
        print("# round %d: %s" % (r, log_state(top)), flush=True)
        ever = log_now(log)
        total = 0
        while fill(top, n + 1):
            n += 1
            now = log_now(log)
            ever |= now
            was = blocks_of(os.path.join(lower, "fill%d" % n)) & ever - now
            print(n, *sorted(was), file=reused, flush=True)
            total += len(was)
            files.append(n)
            mark("fill=%d" % n)
        print("# %d files, %d blocks in them were the log's, %s" %
              (len(files), total, log_state(top)), flush=True)
        gone, files = files[::2], files[1::2]
        for k in gone:
            mark("gone=%d" % k)
            os.unlink("fill%d" % k, dir_fd=top)
        os.sync()


def log_state(top):
    text = subprocess.run(["kmldump", "--info", "/proc/self/fd/%d" % top],
                          pass_fds=[top], capture_output=True, text=True)
    words = dict(w.split("=", 1) for w in text.stdout.split() if "=" in w)
    return "records %(first)s to %(last)s, log_bytes=%(log_bytes)s" % words


def sure_at(marks, to):
    """The files that are on disk at entry `to`, whole."""
    sure = set()
    for line in open(marks):
        i, text = line.split(None, 1)
        what, _, k = text.strip().partition("=")
        if int(i) < to and what == "fill":
            sure.add(int(k))
        elif int(i) < to and what == "gone":
            sure.discard(int(k))
    return sure


def copies(dev, marks, to, reused):
    sure = sure_at(marks, to)
    was = set()
    for line in open(reused):
        k, *blocks = map(int, line.split())
        if k in sure:
            was.update(blocks)
    text = subprocess.run(["debugfs", "-R", "logdump -a", dev], text=True,
                          capture_output=True, check=True).stdout
    copy, revoke = {}, {}
    for line in text.splitlines():
        m = re.match(r"Found expected sequence (\d+)|"
                     r"\s+FS block (\d+) logged|\s+Revoke FS block (\d+)", line)
        if m and m[1]:
            tid = int(m[1])
        elif m and m[2]:
            copy[int(m[2])] = tid
        elif m:
            revoke[int(m[3])] = tid
    old = was & set(copy)
    void = {b for b in old if revoke.get(b, -1) >= copy[b]}
    print("reused %d void %d due %d" % (len(was), len(void), len(old - void)))
    return 0


def check(top, marks, to):
    sure = sure_at(marks, to)
    bad = log = 0
    found = set()
    for name in os.listdir(top):
        if not name.startswith("fill"):
            continue
        k = int(name[4:])
        data = open(os.path.join(top, name), "rb").read()
        if k in sure and len(data) != BLOCKS * BLOCK:
            print("%s has %d bytes" % (name, len(data)))
            bad += 1
        found.add(k)
        for b in range(0, len(data), BLOCK):
            got = data[b:b + BLOCK]
            want = pattern(k, b // BLOCK)
            if got == want[:len(got)] or (k not in sure and not any(got)):
                continue
            bad += 1
            what = "something else"
            if got[:4] in (b"IKML", b"ISEG"):
                log += 1
                what = "log: " + repr(got[:4])
            if bad <= 5:
                print("%s block %d is %s" % (name, b // BLOCK, what))
    if sure - found:
        print("gone: %s" % sorted(sure - found)[:10])
        bad += 1
    print("files %d sure %d bad %d log %d" % (len(found), len(sure), bad, log))
    return 1 if bad else 0


def strip(dev):
    """Without checksums a revoke block is magic, 5, sequence, bytes used."""
    n = 0
    with open(dev, "r+b", buffering=0) as f:
        for at in range(0, f.seek(0, 2), 1 << 20):
            f.seek(at)
            data = f.read(1 << 20)
            for o in range(0, len(data), BLOCK):
                if struct.unpack_from(">II", data, o) == (0xc03b3998, 5):
                    f.seek(at + o + 12)
                    f.write(struct.pack(">I", 16))
                    n += 1
        os.fsync(f.fileno())
    print("stripped %d" % n)
    return 0


a = sys.argv
if a[1] == "load":
    sys.exit(load(a[2], a[3], int(a[4]), open(a[5], "w")))
if a[1] == "copies":
    sys.exit(copies(a[2], a[3], int(a[4]), a[5]))
if a[1] == "check":
    sys.exit(check(a[2], a[3], int(a[4])))
if a[1] == "strip":
    sys.exit(strip(a[2]))
sys.exit("usage: see the file")
