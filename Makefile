# The commands of this repository. `make` alone lists them.
#
# CI runs `.ci/run`, which installs what is missing and calls `make test`.

CARGO ?= cargo
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help demo test bench audit fuzz defects need

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo: need ## the whole product on a simulated contact centre: open the address it prints, Ctrl-C ends it
	$(CARGO) run --locked --release --quiet -- demo

test: need ## format, lints, dependencies, shipped files and every test: what CI runs
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets --quiet -- -D warnings
	$(CARGO) check --locked --lib --no-default-features --quiet
	$(CARGO) build --locked --quiet
	deploy/check
	$(CARGO) test --locked --doc --quiet
	$(CARGO) test --locked --lib --bins --tests --no-fail-fast

bench: need ## events per second, latency and memory
	$(CARGO) bench --locked

audit: ## the dependencies against the database of security advisories, which is fetched
	$(CARGO) deny check

fuzz: need ## random bytes into the decoder, for a minute or FUZZ_SECONDS (needs cargo-fuzz)
	@mkdir -p fuzz/corpus/wire
	RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run $(FUZZ_FLAGS) --sanitizer none wire fuzz/corpus/wire fuzz/seeds -- \
	  -max_total_time=$(FUZZ_SECONDS) -verbosity=0

defects: ## breaks the program on purpose, in one way after the other: the tests must see each (20 minutes)
	tests/defects/run

need:
	@deploy/need
