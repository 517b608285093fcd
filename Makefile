# Everything a newcomer needs: `make demo` shows it at work, `make test` proves it.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
ABI := 1
OUT := target/release
# Found by its ABI's name, not by its path; and mapped for ever: threads of ours, and destructors
# that std registers with the host's threads, may still want its code after a dlclose.
ifeq ($(shell uname -s),Darwin)
  SHARED := libscoutcore.dylib
  SHARED_VERSIONED := libscoutcore.$(ABI).dylib
  LINK := -C link-arg=-Wl,-install_name,@rpath/$(SHARED_VERSIONED)
else
  SHARED := libscoutcore.so
  SHARED_VERSIONED := libscoutcore.so.$(ABI)
  LINK := -C link-arg=-Wl,-soname,$(SHARED_VERSIONED) -C link-arg=-Wl,-z,nodelete \
          -C link-arg=-Wl,-z,relro,-z,now
endif

# No path of the machine that builds ends up in what is shipped.
REMAP := --remap-path-prefix=$(CURDIR)=. --remap-path-prefix=$(HOME)/.cargo=cargo
build shared small bench: export RUSTFLAGS := $(REMAP) $(filter-out $(REMAP),$(RUSTFLAGS))

# Sanitizers are no part of the stable toolchain, but their runtimes come with it.
SANITIZED := x86_64-unknown-linux-gnu
asan tsan: export RUSTC_BOOTSTRAP := 1
SCHEDULES ?= 4000

.PHONY: build shared small demo test interleavings asan tsan soak fuzz core-agent-dist bench install install-files header docs clean help

help: ## What there is to make
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

# Each artefact by itself: naming several crate types in one build silently switches LTO off.
build: shared ## The shared object, the static library, the executable
	$(CARGO) rustc --release --lib --crate-type staticlib
	$(CARGO) build --release --bin scout-core-agent

PROFILE ?= release
FEATURES ?=
TARGET ?= target

shared: ## The shared object alone; also with other FEATURES, of another PROFILE, below another TARGET
	$(CARGO) rustc --profile $(PROFILE) --lib --crate-type cdylib --target-dir $(TARGET) $(FEATURES) -- $(LINK)

small: ## target/small/libscoutcore.so, made for size: plain HTTP to loopback only
	$(MAKE) shared PROFILE=small FEATURES=--no-default-features

demo: build ## A real web application, driven for ten seconds, and what we saw of it
	examples/demo/run

test: ## Everything that must hold; installs what it lacks, where it may
	ffi-tests/install-deps
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) clippy --no-default-features --lib -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --no-deps --quiet
	$(CARGO) test
	$(MAKE) build
	python3 ffi-tests/packaging.py
	python3 ffi-tests/run.py
	python3 ffi-tests/hot/run.py
	$(MAKE) interleavings asan tsan
	python3 ffi-tests/faults/run.py 16
	python3 ffi-tests/agent/run.py
	examples/demo/run --check

interleavings: ## The recorder under loom and shuttle: SCHEDULES random orders of each case
	cd tests/interleavings && $(CARGO) test --lib --features loom --target-dir $(CURDIR)/target/interleavings interleavings
	cd tests/interleavings && SCHEDULES=$(SCHEDULES) \
		$(CARGO) test --lib --features shuttle --target-dir $(CURDIR)/target/interleavings interleavings

asan: ## The C harness with AddressSanitizer and LeakSanitizer on both sides (needs clang)
	CARGO_PROFILE_DEV_OPT_LEVEL=1 RUSTFLAGS="-Zsanitizer=address" $(CARGO) rustc --lib --crate-type cdylib \
		--target $(SANITIZED) --target-dir target/asan -- $(LINK)
	SCOUTCORE_LIB=target/asan/$(SANITIZED)/debug/$(SHARED) python3 ffi-tests/run.py --only asan

tsan: export RUSTFLAGS := -Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer
tsan: export TSAN_OPTIONS := suppressions=$(CURDIR)/tests/races/suppressions exitcode=9
tsan: ## The recorder's tests, and every function from many threads, with ThreadSanitizer
	cd tests/races && $(CARGO) test --lib --target $(SANITIZED) --target-dir $(CURDIR)/target/tsan
	cd tests/interleavings && $(CARGO) test --lib --target $(SANITIZED) --target-dir $(CURDIR)/target/tsan recorder

KILLS ?= 10000
FORKS ?= 10000
SECONDS ?= 1200
SEEDS ?= 100000

soak: build ## Kills KILLS recording processes, forks FORKS times, makes every call fail; loads the agent for SECONDS; simulates SEEDS times
	python3 ffi-tests/kill/run.py $(KILLS)
	FORKS=$(FORKS) python3 ffi-tests/run.py --only c --match c/forks
	python3 ffi-tests/faults/run.py 1
	$(MAKE) interleavings SCHEDULES=$(SEEDS)
	SOAK=$(SECONDS) python3 ffi-tests/agent/run.py --only load
	SIM_SEEDS=$(SEEDS) SIM_WEEK=1 $(CARGO) test --release --lib core::simulation

FUZZ ?= sql record options spool segments protocol

fuzz: ## Fuzzes each of the targets FUZZ for SECONDS (needs cargo-fuzz)
	python3 fuzz/seeds.py
	cd fuzz && for target in $(FUZZ); do \
		RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=$(SECONDS) || exit 1; done

core-agent-dist: build ## Lays out the executable in DIR as agents that launch it expect it
	examples/core-agent/dist $(DIR)

bench: ## Us and the peers on the same work; writes docs/benchmarks.md and its plots (ONLY=sql,python: some steps)
	ffi-tests/install-deps bench
	python3 benches/run.py $(if $(ONLY),--only $(ONLY))

header: ## Writes include/scoutcore.h from src/ffi
	SCOUT_BLESS=1 $(CARGO) test --quiet --test header

docs: ## Writes what is generated in docs/
	SCOUT_BLESS=1 $(CARGO) test --quiet --test docs

install: build install-files ## Header, libraries, pkg-config file and executable, below DESTDIR/PREFIX

install-files:
	install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/bin
	install -m 644 include/scoutcore.h $(DESTDIR)$(PREFIX)/include/
	install -m 755 $(OUT)/$(SHARED) $(DESTDIR)$(PREFIX)/lib/$(SHARED_VERSIONED)
	ln -sf $(SHARED_VERSIONED) $(DESTDIR)$(PREFIX)/lib/$(SHARED)
	install -m 644 $(OUT)/libscoutcore.a $(DESTDIR)$(PREFIX)/lib/
	install -m 755 $(OUT)/scout-core-agent $(DESTDIR)$(PREFIX)/bin/
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' include/scoutcore.pc.in \
		> $(DESTDIR)$(PREFIX)/lib/pkgconfig/scoutcore.pc

clean: ## What was built
	$(CARGO) clean
