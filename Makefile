# SPDX-License-Identifier: MIT
# `make run` and `make test` are all that a newcomer needs: they install what is missing (see .ci/need) and build.
BOARD ?= qemu_virt_aarch64
CONFIG ?= release
SYSTEM ?= system.xml
TARGET := $(or $(CARGO_TARGET_DIR),target)
ORION := $(TARGET)/release/orion
export ORION
.DEFAULT_GOAL := help
.PHONY: help build run test check torture sim fuzz bugs bench image qemu demo-linux graph clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile
	@echo "Variables: SYSTEM=$(SYSTEM) BOARD=$(BOARD) (or x86_64_generic) CONFIG=$(CONFIG) (or debug) MICROKIT_SDK=$(or $(MICROKIT_SDK),~/microkit-sdk)"

build: ## build the tool, target/release/orion
	@.ci/need build
	.ci/cargo build --release --package orion

run: build ## start the system on this machine: isolated processes, a real emulated disk, a verdict
	@.ci/need run
	$(ORION) run $(SYSTEM)
	@echo; echo "Now a client under load, while its driver, a layer, the gatekeeper and the disk are killed:"
	@$(ORION) torture --kills 6 --seed 4 --show

test: build ## run every test
	@.ci/need build run test
	.ci/test $(TESTS)

check: ## formatting, lints, house rules, documentation
	@.ci/need build check
	.ci/check

torture: build ## kill driver, layer, gatekeeper and device 1,000 times under load: TORTURE="--kills 100 --seed 2"; or BOARD=..., on seL4
ifeq ($(origin BOARD),file)
	@.ci/need run
	$(ORION) torture $(TORTURE)
else
	@.ci/need run bare boards
	.ci/cargo test --quiet --package orion-boot-tests --test restart -- $(patsubst qemu_virt_%,%,$(patsubst %_generic,%,$(BOARD)))
endif

sim: ## simulate worlds that fail and lose power: SIM="--requests 1_000_000", or "--replay CASE"
	@.ci/need build
	.ci/cargo build --quiet --profile sim --package orion-sim
	$(TARGET)/sim/orion-sim $(SIM)

fuzz: ## fuzz what faces others' bytes, guided by coverage: FUZZ="SECONDS [TARGET]...", or "replay TARGET FILE"
	@.ci/need build
	RUSTC_WORKSPACE_WRAPPER=$(CURDIR)/tests/fuzz/rustc-coverage .ci/cargo build --quiet --profile fuzz --package orion-fuzz
	$(TARGET)/fuzz/orion-fuzz $(FUZZ)

bugs: ## the test of the tests: which of them catch which bugs; BUGS=--write renews the table in docs/testing.md
	@.ci/need build
	.ci/cargo run --quiet --package orion-bugs -- $(BUGS)

bench: build ## measure each part, and the whole chain beside qemu-img on the same file
	@.ci/need run bench
	.ci/bench

image: build ## make the seL4 Microkit image for BOARD, with MICROKIT_SDK
	@.ci/need bare boards
	$(ORION) image $(SYSTEM) --board $(BOARD) --config $(CONFIG)

qemu: build ## boot that image in QEMU; ends with the demo's verdict
	@.ci/need bare boards run
	$(ORION) qemu $(SYSTEM) --board $(BOARD) --config $(CONFIG)

demo-linux: build ## an array that mdadm made: degraded, written and rebuilt here, and right to Linux again
	@.ci/need build run
	ORION=$(ORION) cargo test --quiet --package orion-linux-tests --test demo -- --nocapture

graph: build ## draw the system: docs/system.svg
	$(ORION) graph $(SYSTEM) --output docs/system.svg

clean: ## remove what was built
	rm -rf build target pds/sel4/target
