# SPDX-License-Identifier: GPL-2.0
# The kernels that the module is for, as Debian ships them, and one for finding
# faults, which debug builds; sourced by fetch, build, debug, dkms and test.
#
# build/kernels/SERIES/ holds the unpacked image and header packages of one:
#   release          what uname -r says; written last, so it says: complete
#   root             the folder to build in by chroot; absent: build right here
#   boot, lib, usr   from the packages
#   intermezzo.ko    the module, by build
#   slow             debug only: how many times longer tests take on it
# build/kernels/SUITE.root is a debootstrap of a suite whose user land the header
# tools (fixdep, modpost, objtool, the compiler) of a kernel need.

set -u
# what the caller's make was told is not for the kernel's
unset MAKEFLAGS MAKELEVEL MFLAGS
K_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
K_BUILD=$K_TOP/build/kernels
K_ARCH=$(dpkg --print-architecture)
K_ALL='6.1 6.12 7.2'

k_die() {
	echo "${0##*/}: $*" >&2
	exit 1
}

# What this one is and where it comes from: K_SERIES, K_DIR, K_SUITE ('.': the
# machine's own suites), K_ROOT (of which suite, or nothing).
k_select() {
	K_SERIES=$1 K_ROOT=
	case $1 in
	6.1) K_SUITE=. ;;
	6.12) K_SUITE=bookworm-backports ;;
	7.2) K_SUITE=trixie-backports K_ROOT=trixie ;;
	debug) K_SUITE= ;;
	*) k_die "no such kernel: '$1'; there are $K_ALL" ;;
	esac
	K_DIR=$K_BUILD/$1
}

# The same, fetched: K_RELEASE, K_HEADERS.
k_use() {
	k_select "$1"
	[ -r "$K_DIR/release" ] ||
		k_die "kernel $1 is not here: tests/kernels/fetch $1"
	K_RELEASE=$(cat "$K_DIR/release")
	K_HEADERS=/usr/src/linux-headers-$K_RELEASE
	[ -n "$K_ROOT" ] || K_HEADERS=$K_DIR$K_HEADERS
}

# k_run WORK CMD...: where the kernel's header tools run, with the folder WORK
# there as $K_WORK. Mounts end with the command.
k_run() {
	local work=$1 root=$K_BUILD/$K_ROOT.root
	shift
	if [ -z "$K_ROOT" ]; then
		K_WORK=$work "$@"
		return
	fi
	mkdir -p "$root/work"
	K_WORK=/work unshare --mount sh -ec '
		mount -t proc proc "$1/proc"
		mount --bind "$2" "$1/work"
		root=$1
		shift 2
		exec chroot "$root" "$@"' sh "$root" "$work" "$@"
}
