# SPDX-License-Identifier: GPL-2.0
"""The systems that are compared: each makes client directory DST a copy of
server directory SRC, over the wire, and keeps it one.

start() begins from a DST that is empty or has been filled by hand, stop() ends
it. What runs at the server is in one control group, what runs at the client in
another, so that CPU time counts whoever has ended, too."""
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import wire

CGROUP = "/sys/fs/cgroup/"
RSYNC = ["rsync", "-a", "--delete"]
RUN = "/tmp/bench"


class Failed(Exception):
    pass


def groups():
    for side in ("server", "client"):
        os.makedirs(CGROUP + side, exist_ok=True)


def cpu(side):
    """seconds that the processes of a side have used"""
    with open(CGROUP + side + "/cpu.stat") as f:
        return int(f.readline().split()[1]) / 1e6


def pids(side):
    with open(CGROUP + side + "/cgroup.procs") as f:
        return [int(p) for p in f]


def rchar(side):
    """bytes that the processes of a side have read, from caches as well"""
    total = 0
    for pid in pids(side):
        with open("/proc/%d/io" % pid) as f:
            total += int(f.readline().split()[1])
    return total


def spawn(side, args, name, **kw):
    def join():
        with open(CGROUP + side + "/cgroup.procs", "w") as f:
            f.write("0")
        os.setsid()
    with open("%s/%s.log" % (RUN, name), "ab") as log:
        return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                preexec_fn=join, **kw)


def end(process, sig=signal.SIGTERM):
    """it and what it has started"""
    try:
        os.killpg(process.pid, sig)
    except ProcessLookupError:
        pass
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise Failed("%s did not end by a signal" % process.args[0])


def output(args, **kw):
    r = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if r.returncode:
        raise Failed("%s: status %d: %s" % (" ".join(args), r.returncode, r.stdout))
    return r.stdout


def until(done, what, seconds=600, pause=0.01):
    """monotonic time at which done() was true"""
    late = time.monotonic() + seconds
    while not done():
        if time.monotonic() > late:
            raise Failed("after %d s still not: %s" % (seconds, what))
        time.sleep(pause)
    return time.monotonic()


class Daemon:
    """intersyncd number N of a side, with all that is its own"""
    def __init__(self, side, n):
        self.side, self.n = side, n
        self.dir = "/mnt/%s/state.%s%d" % ("lower" if side == "server" else "client", side, n)
        self.run = "%s/%s%d" % (RUN, side, n)
        self.process = None

    def up(self):
        os.makedirs(self.run, exist_ok=True)
        os.makedirs(self.dir, exist_ok=True)
        listen = ["--listen", "127.0.0.1:%d" % (7400 + self.n + (self.side == "client") * 100)]
        if self.side == "client":
            listen += ["--listen-tls", "none"]
        self.process = spawn(self.side, ["intersyncd", "--foreground", "--state-dir", self.dir,
                                         "--socket", self.run + "/sock"] + listen,
                             "intersyncd.%s%d" % (self.side, self.n))

    def ready(self):
        def answers():
            if self.process.poll() is not None:
                raise Failed("intersyncd has ended")
            return not subprocess.run(["curl", "-sf", "--unix-socket", self.run + "/sock",
                                       "http://localhost/ctl/version"],
                                      stdout=subprocess.DEVNULL).returncode
        until(answers, "intersyncd answers", 60, 0.05)

    def ctl(self, *args):
        return output(["intermezzoctl", args[0], "--socket", self.run + "/sock"] + list(args[1:]))

    def invite(self, name, n):
        r = subprocess.run(["intermezzoctl", "invite", name, "--socket", self.run + "/sock",
                            "--address", wire.server(n) + ":7071"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if r.returncode:
            raise Failed("no invitation: " + r.stderr)
        return r.stdout.strip()

    def down(self):
        if self.process:
            end(self.process)
            self.process = None

    def kb(self, key):
        with open("/proc/%d/status" % self.process.pid) as f:
            return int(re.search(r"%s:\s*(\d+)" % key, f.read()).group(1))


class InterMezzo:
    """over TLS, by an invitation, as other machines attach"""
    name = "InterMezzo"

    def __init__(self):
        self.server, self.client = Daemon("server", 1), Daemon("client", 1)

    def start(self, src, dst):
        if not self.server.process:
            for d in self.server, self.client:
                d.up()
            for d in self.server, self.client:
                d.ready()
        # the log of an earlier export goes on
        self.fileset = os.path.basename(src)
        self.copy = self.fileset + "-copy"
        self.server.ctl("export", src, "--name", self.fileset)
        word = self.server.invite(self.fileset, 1)
        self.begin = time.monotonic()
        args = ["--merge"] if os.listdir(dst) else []
        self.client.ctl("attach", word, dst, "--as", self.copy, *args)

    follow = once = None

    def stop(self):
        self.client.ctl("detach", self.copy)
        self.server.ctl("unexport", self.fileset)

    def close(self):
        """the log goes, too, after its blocks have left the lower's journal"""
        self.client.down()
        self.server.down()
        output(["umount", "/mnt/lower"])
        output(["mount", "/dev/vda", "/mnt/lower"])
        for d in os.listdir("/mnt/lower"):
            shutil.rmtree("/mnt/lower/%s/.intermezzo" % d, ignore_errors=True)


class Rsync:
    """to an rsync daemon at the client; follow(): again and again. With -z where
    the wire is slow."""
    name = "rsync"

    def start(self, src, dst):
        self.src, self.dst, self.loop = src, dst, None
        self.daemon = rsyncd(dst)
        self.begin = time.monotonic()
        self.once()

    def args(self):
        slow = wire.current == "WAN"
        return RSYNC + (["-z"] if slow else []) + [self.src + "/", rsync_url()]

    def once(self, extra=()):
        p = spawn("server", self.args()[:-2] + list(extra) + self.args()[-2:], "rsync")
        if p.wait():
            raise Failed("rsync: status %d" % p.returncode)

    def follow(self):
        self.loop = spawn("server", ["sh", "-c", 'while :; do "$@" || [ $? -eq 24 ] || exit; done',
                                     "-"] + self.args(), "rsync")

    def still(self):
        if self.loop:
            end(self.loop)
            self.loop = None

    def stop(self):
        self.still()
        end(self.daemon)

    def close(self):
        pass


class Lsyncd:
    """lsyncd by rsync, with the shortest delay but none (default: 15 s)"""
    name = "lsyncd"
    once = follow = None

    def start(self, src, dst):
        self.daemon = rsyncd(dst)
        with open(RUN + "/lsyncd.conf", "w") as f:
            f.write('settings { nodaemon = true }\n'
                    'sync { default.rsync, source = "%s", target = "%s", delay = 1,\n'
                    '       rsync = { archive = true, compress = %s } }\n'
                    % (src, rsync_url(), "true" if wire.current == "WAN" else "false"))
        self.begin = time.monotonic()
        self.process = spawn("server", ["lsyncd", "-nodaemon", RUN + "/lsyncd.conf"], "lsyncd")

    def stop(self):
        end(self.process)
        end(self.daemon)

    def close(self):
        pass


class Syncthing:
    """without discovery and relays, told of changes after 1 s (default: 10 s);
    send only and receive only"""
    name = "Syncthing"
    once = follow = None
    config = """<configuration version="36">
<folder id="bench" label="bench" path="{path}" type="{type}" rescanIntervalS="0"
 fsWatcherEnabled="true" fsWatcherDelayS="1" ignorePerms="false" autoNormalize="true">
<filesystemType>basic</filesystemType><device id="{ids[server]}"/><device id="{ids[client]}"/>
<minDiskFree unit="%">0</minDiskFree><markerName>.stfolder</markerName></folder>
<device id="{ids[server]}" name="server" compression="{compression}"><address>{address}</address></device>
<device id="{ids[client]}" name="client" compression="{compression}"><address>dynamic</address></device>
<gui enabled="true" tls="false"><address>127.0.0.1:{gui}</address><apikey>bench</apikey></gui>
<options><listenAddress>{listen}</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>
<localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled>
<natEnabled>false</natEnabled><urAccepted>-1</urAccepted><autoUpgradeIntervalH>0</autoUpgradeIntervalH>
<crashReportingEnabled>false</crashReportingEnabled><startBrowser>false</startBrowser>
<reconnectionIntervalS>1</reconnectionIntervalS><setLowPriority>false</setLowPriority>
<minHomeDiskFree unit="%">0</minHomeDiskFree></options></configuration>
"""

    def start(self, src, dst):
        ids, homes, self.processes = {}, {}, []
        for side, at in ("server", "/mnt/lower"), ("client", "/mnt/client"):
            home = homes[side] = at + "/syncthing"
            shutil.rmtree(home, ignore_errors=True)
            output(["syncthing", "generate", "--no-default-folder", "--skip-port-probing",
                    "--home", home])
            ids[side] = output(["syncthing", "--home", home, "--device-id"]).strip()
        for side, path in ("server", src), ("client", dst):
            os.makedirs(path + "/.stfolder", exist_ok=True)
            here = side == "server"
            with open(homes[side] + "/config.xml", "w") as f:
                f.write(self.config.format(
                    path=path, type="sendonly" if here else "receiveonly", ids=ids,
                    gui=8384 if here else 8385,
                    compression="always" if wire.current == "WAN" else "metadata",
                    listen="tcp://%s:22000" % (wire.server() if here else wire.client()),
                    address="dynamic" if here else "tcp://%s:22000" % wire.server()))
        self.serve("server", homes)
        # who dials too early waits for 5 s
        until(self.listens, "Syncthing listens", 60)
        self.begin = time.monotonic()
        self.serve("client", homes)

    def serve(self, side, homes):
        self.processes.append(spawn(side, ["syncthing", "serve", "--home", homes[side],
                                           "--no-browser", "--no-restart", "--no-upgrade"],
                                    "syncthing." + side,
                                    env=dict(os.environ, STNOUPGRADE="1", HOME=homes[side])))

    @staticmethod
    def listens():
        try:
            socket.create_connection((wire.server(), 22000)).close()
            return True
        except ConnectionRefusedError:
            return False

    def stop(self):
        for p in self.processes:
            end(p)

    def close(self):
        pass


def rsync_url():
    return "rsync://%s:8730/copy/" % wire.client()


def rsyncd(dst):
    with open(RUN + "/rsyncd.conf", "w") as f:
        f.write("port = 8730\nuse chroot = no\n[copy]\npath = %s\nread only = no\nuid = 0\ngid = 0\n" % dst)
    p = spawn("client", ["rsync", "--daemon", "--no-detach", "--config", RUN + "/rsyncd.conf"],
              "rsyncd")
    until(lambda: not subprocess.run(["rsync", rsync_url()[:-5]], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL).returncode,
          "the rsync daemon answers", 30, 0.1)
    return p


ALL = (InterMezzo, Rsync, Lsyncd, Syncthing)
