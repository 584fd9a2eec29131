# What there is to do here; `make help` lists it.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
SCRIPTS = .ci/run $(wildcard scripts/*.sh tests/*.sh tests/*/*.sh)

.DEFAULT_GOAL := help

.PHONY: all
all: ## build the programs
	$(CARGO) build --release

.PHONY: run
run: all ## build the server and start a room on port 8080 (ARGS=… passes options on)
	target/release/multichatd $(ARGS)

.PHONY: test
test: ## unit tests, tests over real sockets, and every netcat that is there
	$(CARGO) test
	tests/netcats.sh

.PHONY: chaos
chaos: ## a minute of clients that do anything at random (CHAOS_SEED=… repeats one)
	CHAOS_SECONDS=$${CHAOS_SECONDS:-60} $(CARGO) test --release --test programs chaos -- --nocapture

.PHONY: bench
bench: ## measure the server beside a bare loop (PEERS=1: beside other servers; BENCH_ONLY=…)
ifdef PEERS
	scripts/bench-peers.sh
endif
	$(CARGO) bench --bench bench

.PHONY: cable
cable: all air ## pull cables between network namespaces: two minutes, as root
	tests/cable.sh

.PHONY: network
network: all air ## lossy, late and slow cables between network namespaces: a minute, as root
	tests/network.sh

.PHONY: air
air: # the bad cable of both
	$(CARGO) build --release --example air

.PHONY: fuzz
# In memory, since a stage waits for the disk.
fuzz: ## fuzz readers, names and sessions, FUZZ_SECONDS each (needs cargo-fuzz)
	for target in reader names session; do \
		mkdir -p target/fuzz-corpus/$$target && \
		TMPDIR=/dev/shm RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir tests/fuzz --sanitizer none $$target \
			target/fuzz-corpus/$$target tests/fuzz/corpus/$$target -- \
			-dict=tests/fuzz/words -len_control=0 -max_len=2000 \
			-max_total_time=$${FUZZ_SECONDS:-60} || exit; \
	done

.PHONY: check
check: lint deps test ## all that has to pass, warnings denied

.PHONY: lint
lint: ## formatting, lints, documentation, shell scripts
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) build --no-default-features
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items
	shellcheck $(SCRIPTS)

.PHONY: deps
deps: ## licences, versions, sources and number of the packages that the programs are built from
	CARGO='$(CARGO)' scripts/deps.sh

.PHONY: demo
demo: all ## a server and three shells that chat, share and fetch, with the wire shown
	scripts/demo.sh

.PHONY: install
install: ## install what `make all` has built, with the systemd unit, under PREFIX
	install -d $(DESTDIR)$(PREFIX)/bin
	install -m 755 target/release/multichatd target/release/multichat $(DESTDIR)$(PREFIX)/bin
	install -d $(DESTDIR)$(PREFIX)/share/doc/multichat $(DESTDIR)$(PREFIX)/share/multichat
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/multichat
	install -m 644 scripts/mcmp.sh $(DESTDIR)$(PREFIX)/share/multichat
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	sed 's|@PREFIX@|$(PREFIX)|g' scripts/multichatd.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/multichatd.service

.PHONY: dist
dist: ## the programs as static binaries in a tarball, for machines without Rust
	RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' $(CARGO) build --release --target $(TARGET)
	rm -rf target/dist && mkdir -p target/dist/multichat-$(VERSION)/scripts
	cp $(addprefix target/$(TARGET)/release/,multichatd multichat) README.md LICENSE \
		target/dist/multichat-$(VERSION)
	cp scripts/mcmp.sh scripts/multichatd.service target/dist/multichat-$(VERSION)/scripts
	tar -C target/dist -czf target/multichat-$(VERSION)-$(TARGET).tar.gz multichat-$(VERSION)
	@echo target/multichat-$(VERSION)-$(TARGET).tar.gz

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12
