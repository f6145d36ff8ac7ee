# SPDX-License-Identifier: GPL-2.0
"""peers.py [--scale=N] [SYSTEM|crowd|restart]...: see tests/bench/peers."""
import binascii
import filecmp
import os
import random
import shutil
import subprocess
import sys
import time

import edits
import lag
import systems
import wire
from systems import Failed, until

SERVER, CLIENT = "/mnt/lower/", "/mnt/client/"
OPTION = "--scale="
SCALE = ([int(a[len(OPTION):]) for a in sys.argv if a.startswith(OPTION)] or [1])[-1]
MiB = 1 << 20
IDLE = 10           # s
SETTLE = 2          # s after which what a change has caused is off the wire


def scaled(full, least=1):
    return max(full // SCALE, least)


SMALL = scaled(10000)
BURST = scaled(5000)
RENAMED = scaled(2000)
EDITED = scaled(256) * MiB
SAVED = scaled(96) * MiB
LARGE = scaled(512) * MiB
SLOW = scaled(128) * MiB           # of the large files, what goes over the WAN


def put(what, value, unit):
    print("%s\t%s\t%s" % (what, "%.4g" % value if isinstance(value, float) else value, unit),
          flush=True)


# ---- data ----

def hexadecimal(n):
    """bytes that compress to a half, and no more"""
    return binascii.hexlify(os.urandom(n // 2))


def fill(path, n, make):
    with open(path, "wb") as f:
        for at in range(0, n, MiB):
            f.write(make(min(MiB, n - at)))


def small(top, n, each=100):
    """N files of 100 to 2,000 bytes, EACH in a directory; {name: (size, mtime)}"""
    found = {}
    for i in range(n):
        d = "d%03d" % (i // each)
        if i % each == 0:
            os.makedirs(os.path.join(top, d))
        name = "%s/f%05d" % (d, i)
        with open(os.path.join(top, name), "wb") as f:
            f.write(hexadecimal(100 + i * 7919 % 1900 // 2 * 2))
            f.flush()
            st = os.fstat(f.fileno())
        found[name] = st.st_size, st.st_mtime_ns
    return found


def state(top):
    """the same of files that are there"""
    found = {}
    for at, _, names in os.walk(top):
        for name in names:
            path = os.path.join(at, name)
            if ".intermezzo" not in path and ".stfolder" not in path:
                st = os.stat(path)
                found[os.path.relpath(path, top)] = st.st_size, st.st_mtime_ns
    return found


def arrived(dst, files):
    """a function: have all files come? It goes on where it stood, so waiting costs
    one stat() at a time. Every system sets the mtime when a file is whole."""
    left = sorted(files.items(), reverse=True)

    def look():
        while left:
            name, want = left[-1]
            try:
                st = os.stat(os.path.join(dst, name))
            except FileNotFoundError:
                return False
            if (st.st_size, st.st_mtime_ns) != want:
                return False
            left.pop()
        return True
    return look


def compare(src, dst, names):
    for name in names:
        if not filecmp.cmp(os.path.join(src, name), os.path.join(dst, name), shallow=False):
            raise Failed("%s differs in %s" % (name, dst))


# ---- measurements of one system ----

class Bench:
    def __init__(self, system):
        self.s = system
        self.figures = {}

    def put(self, what, value, unit):
        self.figures[what] = value
        put("%s, %s" % (what, self.s.name), value, unit)

    def settled(self, what, start, begin, end):
        """time and bytes of what has happened since the counters were START"""
        time.sleep(SETTLE)
        n, packets = (b - a for a, b in zip(start, wire.counters()))
        self.put(what + ": time", end - begin, "s")
        self.put(what + ": on the wire", n, "bytes")
        return n, packets

    def initial(self, what, src, dst, least=None):
        """a first copy of a tree; LEAST: bytes that it can be compressed to. CPU
        time has in it what is started for the copy."""
        files = state(src)
        os.makedirs(dst)
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3")
        start, cpu = wire.counters(), [systems.cpu(x) for x in ("server", "client")]
        self.s.start(src, dst)
        end = until(arrived(dst, files), what, 1800)
        n, packets = self.settled(what, start, self.s.begin, end)
        for side, before in zip(("server", "client"), cpu):
            self.put("%s: CPU of the %s" % (what, side), systems.cpu(side) - before, "s")
        if least:
            self.put(what + ": time / least", (end - self.s.begin) / (least / wire.payload_rate("WAN")),
                     "of what the link needs for compressed data")
            self.put(what + ": bytes / least", (n - packets * wire.HEAD) / least,
                     "of compressed data, heads of packets apart")
        compare(src, dst, files)

    def change(self, what, act, done, seconds=600):
        """one change; a system that does nothing by itself is called"""
        start = wire.counters()
        act()
        begin = time.monotonic()
        if self.s.once:
            self.s.once()
        end = until(done, what, seconds)
        return self.settled(what, start, begin, end)

    def latency(self, link):
        n = 50 if self.s.name == "InterMezzo" else 20
        n = scaled(n, min(n, 20))
        v = lag.lags("%s/lag%s" % (self.src, link), "%s/lag%s" % (self.dst, link), n)
        self.put("close to visible, %s: p50" % link, v[n // 2], "s, of %d files" % n)
        self.put("close to visible, %s: p99" % link, v[min(n - 1, n * 99 // 100)], "s, of %d files" % n)

    def burst(self, link):
        what, top = "burst of small files, %s" % link, "burst" + link
        os.mkdir(os.path.join(self.src, top))
        start = wire.counters()
        files = small(os.path.join(self.src, top), BURST)
        begin = time.monotonic()
        dst = os.path.join(self.dst, top)
        end = until(arrived(dst, files), what, 1200)
        if self.s.follow:       # what it sends over and over again counts for nothing
            self.put(what + ": time", end - begin, "s")
        else:
            self.settled(what, start, begin, end)
        compare(os.path.join(self.src, top), dst, files)

    def renamed(self, link, old, new):
        names = os.listdir(os.path.join(self.src, old))
        a, b = os.path.join(self.dst, old), os.path.join(self.dst, new)
        self.change("rename of a directory, %s" % link,
                    lambda: os.rename(os.path.join(self.src, old), os.path.join(self.src, new)),
                    lambda: os.path.isdir(b) and len(os.listdir(b)) == len(names)
                    and not os.path.exists(a))
        compare(os.path.join(self.src, new), b, names)

    def edited(self):
        src, dst = self.src + "/edited", self.dst + "/edited"
        pages = {}
        ours = self.s.name == "InterMezzo"
        read = [systems.rchar(x) for x in ("server", "client")] if ours else None

        def here():
            """the last page to come is looked at again and again, each other once"""
            try:
                with open(dst, "rb") as f:
                    for at, want in list(left.items()):
                        f.seek(at)
                        if f.read(edits.PAGE) != want:
                            return False
                        del left[at]
                return True
            except FileNotFoundError:       # between two versions of it
                return False

        def act():
            pages.update(edits.edit(src, 100))
            left.update(pages)
        left = {}
        n, packets = self.change("100 edits of 4 KiB", act, here)
        changed = len(pages) * edits.PAGE
        self.put("100 edits of 4 KiB: wire / changed", n / changed, "ratio")
        self.put("100 edits of 4 KiB: protocol / changed", (n - packets * wire.HEAD) / changed,
                 "ratio, heads of packets apart")
        if ours:
            for side, before in zip(("server", "client"), read):
                self.put("100 edits of 4 KiB: read at the " + side,
                         (systems.rchar(side) - before) / os.path.getsize(src), "of the file's size")
        compare(self.src, self.dst, ["edited"])

    def rewritten(self, what, how, rename=False, sync=False):
        """how(content) is the new content of the file"""
        src, dst = self.src + "/saved", self.dst + "/saved"

        def act():
            with open(src, "rb") as f:
                content = how(f.read())
            with open(src + ".new" if rename else src, "wb") as f:
                f.write(content)
                f.flush()
                if sync:
                    os.fsync(f.fileno())
            if rename:
                os.rename(src + ".new", src)
            st = os.stat(src)
            want["saved"] = st.st_size, st.st_mtime_ns
        want = {}
        self.change(what, act, lambda: arrived(self.dst, want)())
        compare(self.src, self.dst, ["saved"])

    def block_sizes(self):
        """rsync's bytes for a file saved by rename, at its best block size"""
        src, dst, old = self.src + "/saved", self.dst + "/saved", SERVER + "saved.old"
        shutil.copyfile(src, old)
        with open(src, "rb") as f:
            content = save(f.read())
        with open(src + ".new", "wb") as f:
            f.write(content)
        os.rename(src + ".new", src)
        best = None
        for block in (8192, 16384, 32768, 65536, 131072):
            shutil.copyfile(old, dst)
            start = wire.counters()
            self.s.once(["--block-size=%d" % block])
            time.sleep(SETTLE)
            n = wire.counters()[0] - start[0]
            if best is None or n < best[0]:
                best = n, block
        os.unlink(old)
        self.put("saved by rename, best block size: on the wire", best[0],
                 "bytes, with blocks of %d" % best[1])

    def idle(self):
        before = [systems.cpu(x) for x in ("server", "client")]
        start = wire.counters()
        time.sleep(IDLE)
        for side, b in zip(("server", "client"), before):
            self.put("idle: CPU of the " + side, (systems.cpu(side) - b) * 1000 / IDLE,
                     "ms per second")
        self.put("idle: on the wire", (wire.counters()[0] - start[0]) / IDLE, "bytes per second")

    def run(self):
        name = self.s.name
        everything = name != "lsyncd"       # whose first copy is rsync's
        if everything:
            self.first_copies()
        self.src, self.dst = SERVER + "large", CLIENT + "large"
        if everything:
            self.initial("initial copy of large files, LAN", self.src, self.dst)
        else:
            shutil.copytree(self.src, self.dst, copy_function=shutil.copy2)
            self.s.start(self.src, self.dst)
        names = {"lagLAN", "lagWAN"}
        for d in names:
            os.mkdir(os.path.join(self.src, d))
        to_rename = small(self.src + "/many", RENAMED, RENAMED)
        if self.s.follow:
            self.s.follow()
        until(lambda: names <= set(os.listdir(self.dst)), "directories", 300)
        until(arrived(self.dst + "/many", to_rename), "files to rename", 600)
        time.sleep(SETTLE)
        if not self.s.follow:
            self.idle()
        for link in ("LAN", "WAN"):
            wire.shape(link)
            if self.s.follow and link == "WAN":
                self.s.follow()
            self.latency(link)
            self.burst(link)
            if self.s.follow:
                self.s.still()
                self.s.once()
            else:
                time.sleep(SETTLE)
            self.renamed(link, *(("many/d000", "many/moved") if link == "LAN" else
                                 ("many/moved", "many/again")))
        self.edited()
        self.rewritten("100 bytes inserted at the front", lambda c: os.urandom(100) + c)
        self.rewritten("saved by rename", save, rename=True)
        if name == "InterMezzo":
            self.rewritten("saved by rename, after an fsync", save, rename=True, sync=True)
        elif name == "rsync":
            self.block_sizes()
        wire.shape("LAN")
        self.end()

    def first_copies(self):
        least = sum(s for s, _ in state(SERVER + "small").values()) // 2
        for link in "LAN", "WAN":
            wire.shape(link)
            self.src, self.dst = SERVER + "one", CLIENT + "one"
            self.initial("initial copy of one file, " + link, self.src, self.dst)
            self.end()
            self.src, self.dst = SERVER + "small", CLIENT + "small"
            self.initial("initial copy of small files, " + link, self.src, self.dst,
                         least if link == "WAN" else None)
            self.end()
        self.src, self.dst = SERVER + "slow", CLIENT + "slow"
        self.initial("initial copy of large files, WAN", self.src, self.dst, SLOW * 3 // 4)
        self.end()
        wire.shape("LAN")

    def end(self):
        """as it was before, but for what was edited"""
        self.s.stop()
        shutil.rmtree(self.dst)
        for name in os.listdir(self.src):
            if name.startswith(("burst", "lag", "many", ".stfolder")):
                shutil.rmtree(os.path.join(self.src, name))


def save(content):
    """what an editor does: a few words in the middle"""
    middle = len(content) // 2
    return content[:middle] + binascii.hexlify(os.urandom(30)) + content[middle + 10:]


# ---- InterMezzo alone ----

def crowd():
    """what one change costs the server when many wait for it"""
    src = SERVER + "crowd"
    os.mkdir(src)
    small(src, 200)
    server, clients = systems.Daemon("server", 2), []
    server.up()
    server.ready()
    server.ctl("export", src, "--name", "crowd")
    alone = server.kb("RssAnon")
    for n in (1, 10, wire.CLIENTS)[:2 if SCALE > 10 else 3]:
        while len(clients) < n:
            i = len(clients) + 1
            # a disk of its own, so that its log is small
            image, dst = CLIENT + "disk%d" % i, CLIENT + "crowd%d" % i
            os.mkdir(dst)
            subprocess.run("truncate -s 48M %s && mkfs.ext4 -q -F %s && mount -o loop %s %s && mkdir %s/t"
                           % (image, image, image, dst, dst), shell=True, check=True)
            d = systems.Daemon("client", i + 1)
            d.up()
            d.ready()
            d.ctl("attach", server.invite("crowd", i), dst + "/t", "--as", "crowd%d" % i)
            clients.append((d, dst))
        for d, _ in clients:
            d.ctl("wait", "crowd%d" % (d.n - 1), "--timeout", "300s")
        time.sleep(SETTLE)
        put("idle server, memory for each of %d clients" % n,
            (server.kb("RssAnon") - alone) / n, "KiB")
        before = systems.cpu("server")
        time.sleep(IDLE)
        put("idle server, CPU with %d clients" % n,
            (systems.cpu("server") - before) * 1000 / IDLE, "ms per second")
        before = systems.cpu("server")
        files = small(src + "/for%d" % n, scaled(500, 100))
        fill(src + "/for%d/large" % n, scaled(8) * MiB, hexadecimal)
        st = os.stat(src + "/for%d/large" % n)
        files["large"] = st.st_size, st.st_mtime_ns
        for d, dst in clients:
            until(arrived(dst + "/t/for%d" % n, files), "client %d has it" % d.n, 1200, 0.1)
        time.sleep(SETTLE)
        put("server CPU for a change that %d clients take" % n, systems.cpu("server") - before, "s")
    for d, dst in clients:
        d.ctl("detach", "crowd%d" % (d.n - 1))
        d.down()
        subprocess.run(["umount", dst], check=True)
    server.ctl("unexport", "crowd")
    server.down()


def restart():
    """both daemons from their start until the copy is in step, nothing pending"""
    took = []
    for what, n in ("few", scaled(1000)), ("many", scaled(100000)):
        src, dst = SERVER + "tree%d" % n, CLIENT + "tree%d" % n
        os.mkdir(src)
        os.mkdir(dst)
        for i in range(n):
            if i % 1000 == 0:
                d = "%s/%d" % (src, i)
                os.mkdir(d)
            os.close(os.open("%s/f%d" % (d, i), os.O_CREAT | os.O_WRONLY, 0o644))
        s = systems.InterMezzo()
        s.start(src, dst)
        s.client.ctl("wait", s.copy, "--timeout", "1800s")
        time.sleep(SETTLE)
        for d in s.client, s.server:
            d.down()
        with open("/proc/sys/vm/drop_caches", "w") as f:
            f.write("3")
        cpu = systems.cpu("server") + systems.cpu("client")
        begin = time.monotonic()
        for d in s.server, s.client:
            d.up()

        def in_step():
            try:
                s.client.ctl("wait", s.copy, "--timeout", "60s")
                return True
            except Failed:
                return False
        took.append(until(in_step, "in step after a restart", 600, 0.05) - begin)
        put("restart to in step, %s files: time" % what, took[-1], "s, %d files" % n)
        put("restart to in step, %s files: CPU" % what,
            systems.cpu("server") + systems.cpu("client") - cpu, "s")
        s.stop()
        s.close()
    put("restart to in step, time with many files / few", took[-1] / took[0], "ratio")


# ---- ratios, which have bars ----

def ratios(found):
    ours = found.get("InterMezzo")

    def of(what, other, name=None):
        theirs = found.get(other, {}).get(name or what)
        if ours and theirs is not None and ours.get(what):
            put("%s, %s / InterMezzo" % (what, other), theirs / ours[what], "ratio")
    for link in ("LAN", "WAN"):
        for files in ("small", "large"):
            of("initial copy of %s files, %s: time" % (files, link), "rsync")
        of("burst of small files, %s: time" % link, "lsyncd")
    of("saved by rename: on the wire", "rsync", "saved by rename, best block size: on the wire")


def main():
    wanted = [a for a in sys.argv[1:] if not a.startswith(OPTION)]
    known = [s.name for s in systems.ALL] + ["crowd", "restart"]
    for w in wanted:
        if w not in known:
            raise Failed("what is %s? One of %s" % (w, ", ".join(known)))
    os.makedirs(systems.RUN)
    systems.groups()
    wire.up()
    random.seed(1)
    found = {}
    small(SERVER + "small", SMALL)
    for name, parts in (("slow", ((SLOW // 2, os.urandom), (SLOW - SLOW // 2, hexadecimal))),
                        ("one", ((1000, hexadecimal),)), ("large", ())):
        os.mkdir(SERVER + name)
        for i, (n, make) in enumerate(parts):
            fill(SERVER + "%s/part%d" % (name, i), n, make)
    fill(SERVER + "large/edited", EDITED, os.urandom)
    fill(SERVER + "large/saved", SAVED, hexadecimal)
    fill(SERVER + "large/rest", LARGE - EDITED - SAVED, os.urandom)
    for alone in crowd, restart:
        if not wanted or alone.__name__ in wanted:
            alone()
    for s in systems.ALL:
        if not wanted or s.name in wanted:
            b = Bench(s())
            found[s.name] = b.figures
            b.run()
            b.s.close()
    ratios(found)


try:
    main()
except Failed as e:
    print("peers: %s" % e)
    for log in sorted(os.listdir(systems.RUN)):
        if log.endswith(".log"):
            print("---- %s" % log)
            print(subprocess.run(["tail", "-n", "15", systems.RUN + "/" + log],
                                 stdout=subprocess.PIPE, text=True, errors="replace").stdout)
    sys.stdout.flush()
    os._exit(1)
