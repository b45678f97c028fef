# A face on the CMake presets; `make help` says what there is.
PRESET ?= dev
PREFIX ?= /usr/local
JOBS ?= $(shell nproc)

all: build/$(PRESET)/build.ninja ## build preset $PRESET (dev)
	cmake --build build/$(PRESET) -j $(JOBS)
build/%/build.ninja: CMakePresets.json
	cmake --preset $* && touch $@
run: build/$(PRESET)/build.ninja ## start the hub on this checkout, state in ./var; Ctrl-C ends it
	cmake --build build/$(PRESET) -j $(JOBS) --target trunkline
	exec build/$(PRESET)/trunkline up --state ./var
test: all ## all tests, or T=name (part of a test's name), L=layers (unit contract system)
	PRESET=$(PRESET) tests/run
check: ## everything CI runs: the tests, then style, analysers, sanitizers, conformance, fuzzing
	tools/check
conformance: all ## the protocol's own suite through the hub, cells A B C D
	build/$(PRESET)/reaper "$$(tools/node)" tests/conformance/run.mjs $(CELLS)
bench: build/release/build.ninja ## measure the release build; writes build/bench.json
	cmake --build build/release -j $(JOBS) --target trunkline --target bench
	"$$(tools/node)" bench/run.mjs
nightly: ## the long forms: thread sanitizer, valgrind, an hour of fuzzing a target
	tools/check nightly
package: build/release/build.ninja ## a Debian package of the release build in build/package
	cmake --build build/release -j $(JOBS) --target trunkline
	cd build/release && cpack -B ../package
install: build/release/build.ninja ## install the release build under PREFIX (/usr/local)
	cmake --build build/release -j $(JOBS) --target trunkline
	cmake --install build/release --prefix $(PREFIX)
clean: ## remove what was built
	rm -rf build
clean-run: ## remove the state of `make run`
	rm -rf var
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14
.PHONY: all run test check conformance bench nightly package install clean clean-run help
