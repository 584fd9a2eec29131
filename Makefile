# What there is to do here; `make help` lists it.

CARGO ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
ARGS ?=
MODEL_SCHEDULES ?= 10000
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
DIST = target/dist/multichat-$(VERSION)
TARGET = $(shell rustc -vV | sed -n 's/^host: //p')
SCRIPTS = .ci/run $(wildcard scripts/*.sh tests/*.sh tests/*/*.sh)

.DEFAULT_GOAL := help

.PHONY: all
all: ## build the programs
	$(CARGO) build --release

.PHONY: server
server: # without what the client alone needs
	$(CARGO) build --release --no-default-features --bin multichatd

.PHONY: run
run: server ## build the server and start a room on port 8080 (ARGS=… passes options on)
	target/release/multichatd $(ARGS)

.PHONY: test
test: ## unit tests, tests over real sockets, schedules of the model, every netcat and shell there is, README's commands
	$(CARGO) test
	$(MAKE) model MODEL_SCHEDULES=300
	tests/netcats.sh
	tests/mcmp.sh
	tests/packaging.sh
	tests/readme.sh

.PHONY: screenshots
screenshots: ## pictures of the page for browsers, to be looked at, in target/screenshots
	$(CARGO) test --test programs screenshots -- --ignored

.PHONY: load
load: ## the page under a burst, and among a thousand members for a minute: its frames, beside the goals
	$(CARGO) test --release --test programs load_on_the_page_in_figures -- --ignored --nocapture

.PHONY: model
# Its own target directory: every package is built for the checker.
model: ## the delivery core under a model checker (MODEL_SCHEDULES=… for each property)
	RUSTFLAGS='--cfg shuttle' CARGO_TARGET_DIR=target/model MODEL_SCHEDULES=$(MODEL_SCHEDULES) \
		$(CARGO) test --no-default-features --lib delivery::model

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
fuzz: ## fuzz readers, names, sessions, requests and frames, FUZZ_SECONDS each (needs cargo-fuzz)
	@$(CARGO) fuzz --version >/dev/null 2>&1 || \
		{ echo 'cargo-fuzz is not installed: cargo install cargo-fuzz' >&2; exit 1; }
	for target in reader names session request frames; do \
		mkdir -p target/fuzz-corpus/$$target && \
		TMPDIR=/dev/shm RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run --fuzz-dir tests/fuzz --sanitizer none $$target \
			target/fuzz-corpus/$$target tests/fuzz/corpus/$$target -- \
			-dict=tests/fuzz/words -len_control=0 -max_len=2000 \
			-max_total_time=$${FUZZ_SECONDS:-60} || exit; \
	done

.PHONY: check
check: lint deps test ## all that has to pass, warnings denied

.PHONY: lint
lint: ## formatting, lints, documentation, shell scripts, man pages
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets -- -D warnings
	$(CARGO) build --no-default-features
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --document-private-items
	shellcheck $(SCRIPTS)
	mandoc -T lint -W warning src/man/*

.PHONY: deps
deps: ## licences, versions, sources and number of the packages that the programs are built from
	CARGO='$(CARGO)' scripts/deps.sh

.PHONY: demo
demo: server ## a server and three shells that chat, with the wire shown (STEP=1: Enter goes on)
	scripts/demo.sh

.PHONY: install
install: ## install what `make all` has built, with unit, man pages and completions, under PREFIX
	PROGRAMS=target/release PREFIX='$(PREFIX)' DESTDIR='$(DESTDIR)' scripts/install.sh

.PHONY: dist
dist: ## the programs as static binaries in a tarball with an install script, for machines without Rust
	RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' $(CARGO) build --release --target $(TARGET)
	rm -rf target/dist target/multichat-*.tar.gz && mkdir -p $(DIST)/scripts
	cp $(addprefix target/$(TARGET)/release/,multichatd multichat) README.md LICENSE scripts/install.sh $(DIST)
	cp -R src/man $(DIST)
	cp scripts/mcmp.sh scripts/completions.sh scripts/multichatd.service scripts/picture-* $(DIST)/scripts
	tar -C target/dist -czf target/multichat-$(VERSION)-$(TARGET).tar.gz --owner=0 --group=0 multichat-$(VERSION)
	@echo target/multichat-$(VERSION)-$(TARGET).tar.gz

.PHONY: deb
deb: all ## a Debian package: target/multichat_VERSION_ARCHITECTURE.deb
	VERSION=$(VERSION) scripts/deb.sh

.PHONY: picture
picture: all ## draw what README shows, from real sessions on port 8080 (needs tmux and a browser)
	scripts/picture.sh
	$(CARGO) test --test programs picture_of_the_page_for_readme -- --ignored

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12
