# SPDX-License-Identifier: GPL-2.0
"""A wire from this machine to itself: two ends of a veth pair, between which
packets go through netem although all addresses are local. 10.77.3.N is the
server as client N sees it, 10.77.2.N that client.

The kernel takes the shortest way to an address of its own unless rules come
before the table of local addresses; packets that come in at an end are let in
since their rules only match what is sent here. Both ends have one MAC address,
so nobody must ask for the other's. No packet is larger than Ethernet's."""
import subprocess

CLIENTS = 50
HEAD = 66           # Ethernet, IP and TCP with timestamps, of each packet
LINKS = {           # name: netem's arguments, bits per second
    "LAN": ("delay 100us rate 1gbit limit 2000", 1e9),
    "WAN": ("delay 50ms rate 20mbit limit 500", 20e6),
}
ENDS = (("a0", "10.77.3", "10.77.2"), ("b0", "10.77.2", "10.77.3"))


current = None      # the link that the wire is now


def server(n=1):
    return "10.77.3.%d" % n


def client(n=1):
    return "10.77.2.%d" % n


def ip(batch):
    subprocess.run(["ip", "-batch", "-"], input="\n".join(batch), text=True, check=True)


def up():
    batch = ["link add a0 mtu 1500 type veth peer name b0 mtu 1500"]
    for table, (dev, here, there) in enumerate(ENDS, 101):
        batch += ["link set %s address 52:54:00:4d:00:77 arp off gso_max_segs 1 up" % dev]
        batch += ["address add %s.%d/32 dev %s" % (here, n, dev) for n in range(1, CLIENTS + 1)]
        batch += ["rule add pref %d iif lo to %s.0/24 lookup %d" % (table, there, table)]
    for table, (dev, here, there) in enumerate(ENDS, 101):
        batch += ["route add %s.%d/32 dev %s src %s.%d table %d" % (there, n, dev, here, n, table)
                  for n in range(1, CLIENTS + 1)]
    batch += ["rule add pref 1000 lookup local", "rule del pref 0 lookup local"]
    ip(batch)
    for dev, _, _ in ENDS:
        with open("/proc/sys/net/ipv4/conf/%s/accept_local" % dev, "w") as f:
            f.write("1")
    shape("LAN")


def shape(link):
    global current
    current = link
    for dev, _, _ in ENDS:
        subprocess.run(["tc", "qdisc", "replace", "dev", dev, "root", "netem"]
                       + LINKS[link][0].split(), check=True)


def payload_rate(link):
    """bytes per second that TCP can carry in packets of 1,500 bytes"""
    return LINKS[link][1] / 8 * 1448 / 1514


def counters():
    """bytes and packets that crossed, both directions"""
    total = []
    for what in ("tx_bytes", "tx_packets"):
        n = 0
        for dev, _, _ in ENDS:
            with open("/sys/class/net/%s/statistics/%s" % (dev, what)) as f:
                n += int(f.read())
        total.append(n)
    return total
