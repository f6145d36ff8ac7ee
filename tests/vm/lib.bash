# SPDX-License-Identifier: GPL-2.0
# Virtual machines of the tests, host side; sourced by run, start, exec, stop,
# kill, link and shell, which are the interface.
#
# A machine is a directory build/vm/NAME:
#   pid                qemu's process, there while the machine is up
#   cmd.N, cmd.N.lock  command channels (channel.c)
#   monitor            qemu's monitor (human commands)
#   console            the kernel's console, from the last boot
#   diskN.img          disks that were given by size; they outlive stop and kill
#
# The guest's root is the host's, read-only by 9p, under an overlay in memory;
# the source tree is seen uncached at its own path, so that what is built while
# a machine runs is what the machine sees.

set -u
VM_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
VM_STATE=$VM_TOP/build/vm
VM_PORTS=6

vm_die() {
	echo "${0##*/}: $*" >&2
	exit 125
}

vm_usage_disks='	--disk SIZE|IMAGE  a virtio disk (vda, vdb, ...); SIZE as 256M
	--mem MB           memory (1024)        --smp N   processors (2)
	--kernel VERSION   kernel of /boot to boot (newest 6.1 with headers)
	--kernel DIR       kernel that tests/kernels/fetch has put there, with
	                   the module built for it; also by IM_KERNEL=DIR in the
	                   environment, for all machines
	--modules DIR      modules of that kernel, if not in /lib/modules
	--link NAME.END    network card on the wire NAME, END 0 or 1; address
	                   10.77.0.1 or .2, or as given: NAME.END=ADDR/LEN
	--forward H:G      host port H reaches guest port G
	--rw-share DIR:TAG share DIR writable; the guest sees it in /share/TAG
	--append ARGS      kernel arguments
	--env NAME=VALUE   environment of the script
	--icount           virtual time is the number of instructions: repeatable
	                   measurements, one processor, no slub debugging
	--console          show the console on stderr as it happens'

# Options common to run, start and shell; sets VM_* and VM_REST.
vm_options() {
	VM_DISKS=() VM_LINKS=() VM_SHARES=() VM_ENV=() VM_REST=() VM_FORWARD=()
	VM_MEM=1024 VM_SMP=2 VM_TIMEOUT=600 VM_APPEND= VM_NAME= VM_SHOW=
	VM_KERNEL= VM_MODULES= VM_ICOUNT=
	# how many times longer everything takes: a kernel that checks itself,
	# which needs memory for that, too; tests have it in their environment
	VM_SLOW=1
	while [ $# -gt 0 ]; do
		case $1 in
		--help | --console | --icount | --) ;;
		--*) [ $# -ge 2 ] || vm_die "$1 wants a value" ;;
		esac
		case $1 in
		--help) vm_usage; exit 0 ;;
		--disk) VM_DISKS+=("$2"); shift ;;
		--mem) VM_MEM=$2; shift ;;
		--smp) VM_SMP=$2; shift ;;
		--timeout) VM_TIMEOUT=$2; shift ;;
		--link) VM_LINKS+=("$2"); shift ;;
		--forward) VM_FORWARD+=("$2"); shift ;;
		--name) VM_NAME=$2; shift ;;
		--append) VM_APPEND+=" $2"; shift ;;
		--kernel) VM_KERNEL=$2; shift ;;
		--modules) VM_MODULES=$2; shift ;;
		--rw-share) VM_SHARES+=("$2"); shift ;;
		--env) VM_ENV+=("$2"); shift ;;
		--console) VM_SHOW=1 ;;
		--icount) VM_ICOUNT=1 VM_SMP=1 ;;
		--) shift; break ;;
		-*) vm_usage >&2; vm_die "no such option: $1" ;;
		*) break ;;
		esac
		shift
	done
	VM_REST=("$@")
	VM_IMAGE= VM_KO=
	[ -n "$VM_KERNEL" ] || VM_KERNEL=${IM_KERNEL:-}
	case $VM_KERNEL in */*) vm_kernel_dir "$VM_KERNEL" ;; esac
	[ -n "$VM_KERNEL" ] || VM_KERNEL=$(vm_default_kernel)
	[ -n "$VM_KERNEL" ] ||
		vm_die "no 6.1 kernel with its headers installed: make deps"
	[ -n "$VM_IMAGE" ] || VM_IMAGE=/boot/vmlinuz-$VM_KERNEL
	[ -r "$VM_IMAGE" ] ||
		vm_die "cannot read $VM_IMAGE: install linux-image-$VM_KERNEL"
	[ -n "$VM_MODULES" ] || VM_MODULES=/lib/modules/$VM_KERNEL
	VM_TIMEOUT=$((VM_TIMEOUT * VM_SLOW))
	[ "$VM_SLOW" = 1 ] || VM_MEM=$((VM_MEM + 768))
}

# A kernel of tests/kernels: see lib.bash there.
vm_kernel_dir() {
	local dir
	dir=$(readlink -f "$1") && VM_KERNEL=$(cat "$dir/release") ||
		vm_die "no kernel in $1: tests/kernels/fetch"
	case $dir in
	"$VM_TOP"/*) ;;
	*) vm_die "a machine does not see $dir, which is outside of $VM_TOP" ;;
	esac
	VM_IMAGE=$dir/boot/vmlinuz-$VM_KERNEL
	VM_MODULES=$(readlink -f "$dir/lib")/modules/$VM_KERNEL
	VM_KO=$dir/intermezzo.ko
	[ -r "$VM_KO" ] || vm_die "no module in $dir: tests/kernels/build"
	[ ! -e "$dir/slow" ] || VM_SLOW=$(cat "$dir/slow")
}

vm_default_kernel() {
	local k v
	for k in $(printf '%s\n' /boot/vmlinuz-6.1.0-*-amd64 | sort -rV); do
		v=${k#/boot/vmlinuz-}
		[ -r "$k" ] && [ -d "/usr/src/linux-headers-$v" ] || continue
		echo "$v"
		return
	done
}

# Build FILE by the command that follows unless it is newer than all of DEPS.
vm_make() {
	local file=$1 deps=$2 d=
	shift 2
	if [ -e "$file" ]; then
		for d in $deps; do
			[ "$d" -nt "$file" ] && break
			d=
		done
		[ -n "$d" ] || return 0
	fi
	"$@" "$file.$$" && mv -f "$file.$$" "$file" ||
		vm_die "cannot build $file"
}

vm_build_channel() {
	${CC:-cc} -std=gnu11 -O2 -Wall -Wextra -D_GNU_SOURCE \
		-o "$1" "$VM_TOP/tests/vm/channel.c"
}

# What modprobe puts lib/modules behind; /usr/lib is not known to all.
vm_module_root() {
	local root=${VM_MODULES%/lib/modules/*}
	echo "${root%/usr}/"
}

# busybox, the modules that lead to the root, in loading order, and init
vm_build_initramfs() {
	local dir mod path n=100
	dir=$(mktemp -d) || return 1
	mkdir -p "$dir/bin" "$dir/mod"
	cp /bin/busybox "$dir/bin/" || return 1
	ln -s busybox "$dir/bin/sh"
	cp "$VM_TOP/tests/vm/init" "$dir/init"
	chmod +x "$dir/init"
	: >"$dir/initramfs"
	for mod in virtio_pci 9pnet_virtio 9p overlay virtio_console \
		virtio_blk virtio_net; do
		modprobe -d "$(vm_module_root)" -S "$VM_KERNEL" \
			--show-depends "$mod" || return 1
	done | while read -r _ path _; do
		[ -e "$path" ] || continue
		ls "$dir"/mod/*-"${path##*/}" >/dev/null 2>&1 && continue
		n=$((n + 1))
		case $path in
		*.xz) xz -dc "$path" >"$dir/mod/$n-$(basename "$path" .xz)" ;;
		*) cp "$path" "$dir/mod/$n-${path##*/}" ;;
		esac
	done
	(cd "$dir" && find . | busybox cpio -o -H newc 2>/dev/null) |
		gzip -1 >"$1" || return 1
	rm -rf "$dir"
}

# The kernel unpacked: xz in the guest takes half of the boot when emulated.
# Offsets are those of the x86 boot protocol. Falls back to the image itself,
# which the debug kernel needs: KASAN's shadow is not there yet at the entry
# that qemu takes into an unpacked one (PVH).
vm_build_kernel() {
	local image=$VM_IMAGE sects off len tool
	[ "$VM_SLOW" = 1 ] || { cp "$image" "$1"; return; }
	sects=$(od -An -tu1 -j 497 -N 1 "$image")
	off=$(od -An -tu4 -j 584 -N 4 "$image")
	len=$(od -An -tu4 -j 588 -N 4 "$image")
	for tool in xz zstd gzip; do
		tail -c +$(((sects + 1) * 512 + off + 1)) "$image" |
			head -c "$len" | "$tool" -dc >"$1" 2>/dev/null
		[ "$(head -c 4 "$1" | tail -c 3)" = ELF ] && return 0
	done
	cp "$image" "$1"
}

# KVM counts only if a kernel really boots with it: it can be present and
# broken, as in nested or restricted hosts. The answer is kept.
vm_probe_accel() {
	if [ -w /dev/kvm ] && timeout -s KILL 6 qemu-system-x86_64 \
		-machine q35 -nodefaults -no-user-config -display none \
		-no-reboot -accel kvm -cpu max -m 512 \
		-kernel "$VM_STATE/kernel-$VM_KERNEL" \
		-initrd "$VM_STATE/initramfs-$VM_KERNEL" \
		-append "quiet VM_PROBE=1" >/dev/null 2>&1; then
		echo kvm >"$1"
	else
		echo tcg >"$1"
	fi
} 2>/dev/null

vm_prepare() {
	mkdir -p "$VM_STATE"
	vm_make "$VM_STATE/channel" "$VM_TOP/tests/vm/channel.c" \
		vm_build_channel
	vm_make "$VM_STATE/initramfs-$VM_KERNEL" \
		"$VM_TOP/tests/vm/init $VM_TOP/tests/vm/lib.bash $VM_MODULES/modules.dep" \
		vm_build_initramfs
	vm_make "$VM_STATE/kernel-$VM_KERNEL" "$VM_IMAGE" \
		vm_build_kernel
	vm_make "$VM_STATE/accel" "" vm_probe_accel
}

vm_pid() {
	local pid
	pid=$(cat "$VM_DIR/pid" 2>/dev/null) || return 1
	# the pid file of a machine that died may name somebody else by now
	grep -qsz "^guest=$VM_NAME\$" "/proc/$pid/cmdline" || return 1
	echo "$pid"
}

vm_dir() {
	VM_NAME=$1
	case $VM_NAME in
	*[!A-Za-z0-9._-]* | '' | .*) vm_die "bad machine name: '$VM_NAME'" ;;
	esac
	VM_DIR=$VM_STATE/$VM_NAME
}

# Boot the machine in VM_DIR as the options say. All slab objects are checked,
# who made them is kept for the module's alone: it costs a third of the time.
vm_boot() {
	local args=() env= i=0 n d name end addr links=
	local debug='slub_debug=FZPU,intermezzo_inode,im_aio;FZP'
	vm_prepare
	vm_pid >/dev/null && vm_die "machine $VM_NAME runs already"
	mkdir -p "$VM_DIR"
	rm -f "$VM_DIR"/cmd.* "$VM_DIR/monitor" "$VM_DIR/console"

	case $VM_ICOUNT$(cat "$VM_STATE/accel") in
	1*)
		args+=(-accel tcg,thread=single -cpu max,la57=off -icount shift=1)
		debug= ;;
	kvm) args+=(-accel kvm -cpu max) ;;
	*) args+=(-accel tcg,thread=multi -cpu max,la57=off) ;;
	esac
	# KASAN sees what it does, and more
	[ "$VM_SLOW" = 1 ] || debug=
	args+=(-m "$VM_MEM" -smp "$VM_SMP" -serial file:console)
	args+=(-chardev socket,id=mon,path=monitor,server=on,wait=off
		-mon chardev=mon,mode=readline)
	args+=(-device virtio-serial-pci,max_ports=16)
	for ((n = 0; n < VM_PORTS; n++)); do
		: >"$VM_DIR/cmd.$n.lock"
		args+=(-chardev "socket,id=c$n,path=cmd.$n,server=on,wait=off"
			-device "virtserialport,chardev=c$n,name=cmd.$n")
	done
	vm_share_args() {
		args+=(-fsdev "local,id=$1,path=$2,security_model=$4,multidevs=remap$3"
			-device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
	}
	vm_share_args root / ,readonly=on none
	vm_share_args tree "$VM_TOP" ,readonly=on none
	for d in ${VM_SHARES+"${VM_SHARES[@]}"}; do
		vm_share_args "${d##*:}" "$(readlink -f "${d%:*}")" "" passthrough
		env+=" VM_SHARE$((++i))=${d##*:}"
	done
	n=0
	for d in ${VM_DISKS+"${VM_DISKS[@]}"}; do
		case $d in
		[0-9]*[KMG])
			[ -e "$VM_DIR/disk$n.img" ] ||
				truncate -s "$d" "$VM_DIR/disk$n.img"
			d=$VM_DIR/disk$n.img ;;
		*)
			[ -w "$d" ] || vm_die "cannot write disk image $d"
			d=$(readlink -f "$d") ;;
		esac
		args+=(-drive "file=$d,format=raw,if=none,id=d$n,cache=unsafe,discard=unmap"
			-device "virtio-blk-pci,drive=d$n,num-queues=1,serial=disk$n")
		n=$((n + 1))
	done
	n=0
	for d in ${VM_LINKS+"${VM_LINKS[@]}"}; do
		addr=
		case $d in *=*) addr=${d#*=} d=${d%%=*} ;; esac
		name=${d%.*} end=${d##*.}
		case $end in 0 | 1) ;; *) vm_die "--link $d: the end is 0 or 1" ;; esac
		links+=${links:+,}${addr:-10.77.0.$((end + 1))/24}
		# datagrams: either side may be down and come back
		args+=(-netdev "dgram,id=n$n,local.type=unix,local.path=../link.$name.$end,remote.type=unix,remote.path=../link.$name.$((1 - end))"
			-device "virtio-net-pci,netdev=n$n,romfile=,mac=52:54:00:4d:0$n:0$end")
		n=$((n + 1))
	done
	if [ -n "${VM_FORWARD+x}" ] && [ ${#VM_FORWARD[@]} -gt 0 ]; then
		addr=
		for d in "${VM_FORWARD[@]}"; do
			addr+=",hostfwd=tcp:127.0.0.1:${d%:*}-:${d#*:}"
		done
		links+=${links:+,}10.0.2.15/24
		args+=(-netdev "user,id=n$n$addr"
			-device "virtio-net-pci,netdev=n$n,romfile=")
	fi
	(
		cd "$VM_DIR" || exit 1
		exec setsid qemu-system-x86_64 -name "guest=$VM_NAME" \
			-machine q35 -nodefaults -no-user-config \
			-display none -no-reboot -pidfile pid \
			-kernel "$VM_STATE/kernel-$VM_KERNEL" \
			-initrd "$VM_STATE/initramfs-$VM_KERNEL" \
			-append "console=ttyS0 loglevel=5 mitigations=off no_timer_check tsc=reliable random.trust_cpu=on panic_on_warn=1 oops=panic $debug panic=-1 hung_task_panic=1 VM_TOP=$VM_TOP VM_NAME=$VM_NAME VM_PORTS=$VM_PORTS VM_SLOW=$VM_SLOW VM_ADDRS=$links VM_MODDIR=$VM_MODULES${VM_KO:+ IM_MODULE=$VM_KO}$env$VM_APPEND" \
			"${args[@]}" </dev/null >qemu.log 2>&1
	) 2>/dev/null &
	VM_QEMU=$!
	disown "$VM_QEMU"
	for ((n = 0; n < 100; n++)); do
		[ -S "$VM_DIR/monitor" ] && vm_pid >/dev/null && break
		kill -0 "$VM_QEMU" 2>/dev/null || break
		sleep 0.05
	done
	if ! vm_pid >/dev/null; then
		cat "$VM_DIR/qemu.log" >&2
		vm_die "qemu did not start"
	fi
	if [ -n "$VM_SHOW" ]; then
		tail -q --pid="$VM_QEMU" -n +1 -F "$VM_DIR/console" >&2 2>/dev/null &
	fi
}

vm_exec() {
	"$VM_STATE/channel" exec "$VM_DIR" "$@"
}

# End the process and know that it is gone: its disks may be used right after.
vm_kill() {
	local pid
	pid=$(vm_pid) || return 1
	kill -KILL "$pid"
	# its memory, and so its command line, goes before its files are closed,
	# which the last of its threads does
	while cat "/proc/$pid/task/"*/status 2>/dev/null |
		awk '/^State:/ { n++; live += $2 !~ /[ZX]/ } END { exit !(live || n > 1) }'
	do sleep 0.02; done
	rm -f "$VM_DIR/pid"
}

vm_stop() {
	local n
	vm_pid >/dev/null || return 0
	timeout -s KILL 60 "$VM_STATE/channel" exec "$VM_DIR" \
		sh -c 'sync; umount -a -t ext4,xfs,btrfs 2>/dev/null; sync' \
		>/dev/null 2>&1
	"$VM_STATE/channel" line "$VM_DIR" quit >/dev/null 2>&1
	for ((n = 0; n < 100; n++)); do
		vm_pid >/dev/null || break
		sleep 0.05
	done
	vm_kill 2>/dev/null
	rm -f "$VM_DIR/pid"
	return 0
}

# What the kernel says when something is wrong that did not end in a panic.
VM_BAD='WARNING: |BUG[ :]|UBSAN: |INFO: trying to register|Oops|general protection|INFO: task .* blocked|soft lockup|Kernel panic|kernel BUG|Call Trace|Slab objects remaining|Objects remaining'

vm_console_bad() {
	grep -aqE "$VM_BAD" "$VM_DIR/console"
}

# What nobody in the machine points to any more; nothing but on a debug kernel.
vm_lost() {
	{	# shellcheck disable=SC2016 # there it is known
		timeout -s KILL 1200 "$VM_STATE/channel" exec "$VM_DIR" \
			sh -c '. "$TOP/tests/vm/functions"; lost' 2>/dev/null ||
			[ $? -ne 137 ] ||
			echo "no end of looking for lost memory after 1200 s"
	} | sed 's/^/# /'
}

vm_console_tail() {
	echo "# ---- console of $VM_NAME, last lines ----"
	tail -n "${1:-40}" "$VM_DIR/console" | tr -d '\r' | sed 's/^/# /'
	echo "# ----"
}
