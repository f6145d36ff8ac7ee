# SPDX-License-Identifier: GPL-2.0
# Everything is built in build/; `make help` lists the targets.

VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
BUILD   := build
PREFIX  ?= /usr
DESTDIR ?=
ARGS    ?=
V       ?=
# V=1 shows the commands
Q       := $(if $(V),,@)
say      = $(if $(V),,@echo '  $(1) $@')

# Newest 6.1 headers that are installed; any other kernel: make KDIR=...
KDIR ?= $(lastword $(shell ls -d /usr/src/linux-headers-6.1.0-*-amd64 2>/dev/null | sort -V))

PKGS := libnl-3.0 libnl-genl-3.0 popt libmicrohttpd libcurl gnutls libzstd \
	libxxhash jansson lmdb

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wundef \
	-Wno-unused-parameter
CC   ?= gcc
# WERROR=1, which check sets, makes warnings errors; never for who just builds
CFLAGS_ALL = -std=gnu11 -O2 -g $(WARN) $(if $(WERROR),-Werror) \
	-D_GNU_SOURCE -fstack-protector-strong \
	-DINTERMEZZO_VERSION='"$(VERSION)"' \
	-Iinclude -Iinclude/uapi -I. \
	$(shell pkg-config --cflags $(PKGS) 2>/dev/null) $(CFLAGS)
FORTIFY := -D_FORTIFY_SOURCE=2
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer
LIBS_ALL = $(LDFLAGS) $(shell pkg-config --libs $(PKGS) 2>/dev/null) \
	-lrsync -pthread -lm

common_src := $(wildcard common/*.c)
ctl_src    := $(wildcard ctl/*.c) $(common_src)
syncd_src  := $(wildcard syncd/*.c) $(common_src)
unit_src   := $(wildcard tests/unit/*.c)
fuzz_src   := $(wildcard tests/fuzz/*.c)
tool_src := $(wildcard tests/tools/*.c)
crash_src  := $(wildcard tests/crash/*.c)

tools := $(BUILD)/intermezzoctl $(BUILD)/intersyncd
units := $(unit_src:tests/unit/%.c=$(BUILD)/tests/unit/%)
fuzzers := $(fuzz_src:tests/fuzz/%.c=$(BUILD)/tests/fuzz/%)
test_tools := $(tool_src:tests/tools/%.c=$(BUILD)/tests/%) \
	$(crash_src:tests/%.c=$(BUILD)/tests/%)
# the longest first: two run at a time
all_vm_tests := $(sort $(wildcard tests/vm/[0-9]*-*))
long_tests := $(addprefix tests/vm/,115-archives 116-postgresql 117-layers \
	118-nfs 119-many 132-log-mount 133-log-cut)
vm_tests := $(filter-out $(long_tests),$(all_vm_tests))
vm_tests := $(filter %-crash %-random,$(vm_tests)) \
	    $(filter-out %-crash %-random,$(vm_tests))

.PHONY: all module tools tests deps kernels check check-unit check-fuzz check-vm \
	check-long check-kernels nightly fuzz demo bench install uninstall clean help
.DELETE_ON_ERROR:

all: tools module tests

help:
	@echo 'all          tools, kernel module and test programs, in $(BUILD)/'
	@echo 'module       $(BUILD)/module/intermezzo.ko; KDIR=headers of the kernel'
	@echo 'tools        $(BUILD)/intermezzoctl, $(BUILD)/intersyncd'
	@echo 'deps         install the Debian packages of tests/packages.txt'
	@echo 'check        deps, build with -Werror, and all tests, as .ci/run'
	@echo 'check-unit   unit tests under ASan and UBSan'
	@echo 'check-vm     tests in virtual machines; TESTS="tests/vm/..." for some'
	@echo 'check-long   what takes hours: other programs, 3,000 cuts, 20 random trees'
	@echo 'kernels      fetch KERNELS="$(KERNELS)" and build the module for them'
	@echo 'check-kernels  the module on KERNELS: build, DKMS, all VM tests on each'
	@echo 'nightly      a kernel with KASAN, lockdep, kmemleak, fault injection from'
	@echo '             the distribution'"'"'s source, VM tests on it; TESTS="..."'
	@echo 'fuzz         parsers on random input; FUZZ_SECONDS=60 each'
	@echo 'demo         two machines, a tree replicated; ARGS=--shell'
	@echo 'bench        the figures of doc/performance.md; ARGS=peers for one part'
	@echo 'install      tools, manuals, unit, module by DKMS; PREFIX DESTDIR'

# ---- programs ----

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) $(FORTIFY) -MMD -MP -c -o $@ $<

tools: $(tools)

objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

$(BUILD)/intermezzoctl: $(call objs,$(ctl_src))
	$(call say,LD)
	$(Q)$(CC) -o $@ $^ $(LIBS_ALL)

$(BUILD)/intersyncd: $(call objs,$(syncd_src))
	$(call say,LD)
	$(Q)$(CC) -o $@ $^ $(LIBS_ALL)

# Programs that tests run on the host or in a machine: each tests/tools/X.c
# becomes build/tests/X, each tests/crash/X.c build/tests/crash/X.
tests: $(test_tools)

# A line `links: a.c b.c` in a comment adds those sources to a test program.
links = $(filter %.c,$(shell sed -n 's,^.*links:[ ]*\([^*]*\).*,\1,p' $(1) | head -n 1))

define plain_program
$(BUILD)/tests/$(1): $(call objs,$(2) $(call links,$(2)) $(common_src))
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)$$(CC) -o $$@ $$^ $$(LIBS_ALL)
endef
$(foreach t,$(tool_src),$(eval $(call plain_program,$(t:tests/tools/%.c=%),$(t))))
$(foreach t,$(crash_src),$(eval $(call plain_program,$(t:tests/%.c=%),$(t))))

# Sanitised objects of what the unit tests and fuzzers link.
$(BUILD)/san/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS_ALL) $(SANITIZE) -MMD -MP -c -o $@ $<

san = $(patsubst %.c,$(BUILD)/san/%.o,$(1))

define sanitised_program
$(BUILD)/tests/$(1)/$(2): $(call san,tests/$(1)/$(2).c $(call links,tests/$(1)/$(2).c) $(common_src))
	@mkdir -p $$(@D)
	$$(call say,LD)
	$$(Q)$$(CC) $$(SANITIZE) -o $$@ $$^ $$(LIBS_ALL)
endef
$(foreach t,$(unit_src:tests/unit/%.c=%),$(eval $(call sanitised_program,unit,$(t))))
$(foreach t,$(fuzz_src:tests/fuzz/%.c=%),$(eval $(call sanitised_program,fuzz,$(t))))

# ---- module ----

# Built in a copy, so that objects do not litter the sources and two kernels'
# builds do not mix; rsync keeps times, so only what changed is built again.
MODSRC := $(BUILD)/module-src-$(notdir $(KDIR))

ifneq ($(wildcard module/Kbuild),)
module:
	@test -n "$(KDIR)" -a -d "$(KDIR)" || \
		{ echo 'no kernel headers: make deps, or make module KDIR=...' >&2; exit 1; }
	@mkdir -p $(MODSRC) $(BUILD)/module
	@rsync -a --delete --exclude='*.o' --exclude='.*' --exclude='*.ko' \
		--exclude='*.mod' --exclude='*.mod.c' --exclude='*.r' \
		--exclude='compat_probes.h' --exclude='Module.symvers' \
		--exclude='modules.order' \
		module common include dkms.conf $(MODSRC)/
	$(MAKE) -C $(KDIR) M=$(CURDIR)/$(MODSRC)/module \
		CONFIG_DEBUG_INFO_BTF_MODULES= \
		$(if $(WERROR),W=1 KCFLAGS=-Werror) modules
	@cmp -s $(MODSRC)/module/intermezzo.ko $(BUILD)/module/intermezzo.ko || \
		cp $(MODSRC)/module/intermezzo.ko $(BUILD)/module/intermezzo.ko
else
module:
	@echo 'module/Kbuild is not there'
endif

# ---- checks ----

PACKAGES ?= tests/packages.txt

deps:
	@missing=; for p in $$(sed 's/#.*//' $(PACKAGES)); do \
		dpkg-query -W -f '$${Status}\n' $$p 2>/dev/null | \
			grep -q 'ok installed' || missing="$$missing $$p"; \
	done; \
	[ -n "$$missing" ] || exit 0; \
	echo "installing:$$missing"; \
	apt-get update -q && DEBIAN_FRONTEND=noninteractive \
		apt-get install -q -y --no-install-recommends $$missing

# Debian's stock kernels that the module is for. Those of check are the ones
# that this machine does not have anyhow.
KERNELS ?= 6.1 6.12 7.2
CHECK_KERNELS := 6.12 7.2

kernels:
	tests/kernels/fetch $(KERNELS)
	tests/kernels/build $(KERNELS)

check-kernels:
	$(MAKE) deps
	$(MAKE) -j$$(nproc) WERROR=1 tools tests
	$(MAKE) kernels
	tests/kernels/dkms $(KERNELS)
	tests/kernels/test $(KERNELS) -- $(or $(TESTS),$(filter-out \
		$(wildcard tests/vm/*-kernel-*),$(all_vm_tests)))

# What a stock kernel does not notice. Takes a night: the tests take ten times as
# long.
nightly:
	$(MAKE) deps PACKAGES='tests/packages.txt tests/kernels/debug.packages'
	$(MAKE) -j$$(nproc) WERROR=1 tools tests
	tests/kernels/debug
	tests/kernels/build debug
	tests/kernels/test debug -- $(or $(TESTS),$(filter-out \
		$(wildcard tests/vm/*-kernel-*),$(all_vm_tests)))

# deps first: which libraries exist is found out when make reads this file
check:
	$(MAKE) deps
	$(MAKE) -j$$(nproc) WERROR=1 all check-build-units
	$(MAKE) check-fuzz FUZZ_SECONDS=10
	$(MAKE) kernels KERNELS="$(CHECK_KERNELS)"
	tests/vm/prepare
	prove --timer -j 2 --failures --comments --state=save --statefile=$(BUILD)/prove $(units) $(vm_tests) || \
		{ echo 'once more, alone: what failed'; \
		  prove --timer --verbose --state=failed --statefile=$(BUILD)/prove; }

.PHONY: check-build-units
check-build-units: $(units) $(fuzzers)

check-unit: $(units)
	prove $(units)

check-vm: all
	prove --timer -v $(or $(TESTS),$(vm_tests))

check-long: all
	prove --timer -v $(long_tests)
	VARIANTS=all tests/vm/130-variants
	STRESS_CYCLES=200 STRESS_OPS=400 tests/vm/109-stress
	CACHE_CLIENTS=20 tests/vm/178-cache
	RANDOM_SEEDS="$$(seq -s ' ' 20)" tests/vm/300-random
	CRASH_POINTS=3000 tests/vm/200-crash
	$(MAKE) fuzz

FUZZ_SECONDS ?= 60
fuzz check-fuzz: $(fuzzers)
	@set -e; for f in $(fuzzers); do \
		echo "fuzz $$f, $(FUZZ_SECONDS) s"; $$f $(FUZZ_SECONDS); \
	done

demo:
	$(MAKE) deps
	$(MAKE) -j$$(nproc) all
	tests/demo/run $(ARGS)

bench:
	$(MAKE) deps PACKAGES='tests/packages.txt tests/bench/packages'
	$(MAKE) all
	tests/bench/run $(ARGS)

# ---- installation ----

DKMS_DIR := $(DESTDIR)/usr/src/intermezzo-$(VERSION)

share := $(DESTDIR)$(PREFIX)/share
man_pages := $(wildcard doc/*.8)
completions := $(share)/bash-completion/completions
services := $(DESTDIR)/lib/systemd/system

install: tools
	install -d $(DESTDIR)$(PREFIX)/sbin $(share)/man/man8 $(completions) \
		$(services) $(DKMS_DIR)
	install -m 755 $(tools) $(DESTDIR)$(PREFIX)/sbin/
	install -m 644 $(man_pages) $(share)/man/man8/
	install -m 644 ctl/completion.bash $(completions)/intermezzoctl
	install -m 644 syncd/intersyncd.service $(services)/
	rsync -a --delete module common include dkms.conf COPYING $(DKMS_DIR)/
	@if [ -z "$(DESTDIR)" ]; then \
		dkms add -m intermezzo -v $(VERSION) 2>/dev/null || true; \
		dkms install --force -m intermezzo -v $(VERSION); \
	fi

uninstall:
	-[ -n "$(DESTDIR)" ] || dkms remove -m intermezzo -v $(VERSION) --all
	rm -f $(addprefix $(DESTDIR)$(PREFIX)/sbin/,$(notdir $(tools)))
	rm -f $(addprefix $(share)/man/man8/,$(notdir $(man_pages)))
	rm -f $(completions)/intermezzoctl $(services)/intersyncd.service
	rm -rf $(DKMS_DIR)

clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD)/obj $(BUILD)/san -name '*.d' 2>/dev/null)
