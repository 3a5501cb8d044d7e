# Shortcuts for common tasks; `make help` lists them. The build itself is in CMakeLists.txt and CMakePresets.json.

JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
PREFIX ?= /usr/local
CMAKE := env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS cmake
.DEFAULT_GOAL := help
.PHONY: help build demo test docs bench bench-quick figures install clean

help:
	@echo 'make demo         install missing packages, build, train a CNN on digits, write glia-demo.html'
	@echo 'make test         install missing packages, build, run all tests'
	@echo 'make build        build only: build/release/glia, libglia.a, libglia.so'
	@echo 'make docs         build and write docs/ops.md, the table of operations'
	@echo 'make install      build and install (PREFIX=/usr/local, DESTDIR=)'
	@echo 'make bench        compare with PyTorch and oneDNN, 40 minutes; prints a table, writes docs/performance.md'
	@echo 'make bench-quick  the same in two minutes: few short blocks, few settings of PyTorch; writes nothing'
	@echo 'make figures      measure what the documentation claims of accuracy and quality, hours; writes docs/figures.md;'
	@echo '                  ONLY=lenet5,gcn: some; SEED=1: another seed; MINUTES=2: those of at most two minutes each'
	@echo 'make clean        remove build/'
	@echo
	@echo 'JOBS=$(JOBS): parallel compilers. Debug, sanitizers, clang, fuzzing: cmake --list-presets'

build:
	@$(CMAKE) --preset release
	@$(CMAKE) --build --preset release --parallel $(JOBS)

demo:
	@sh scripts/install_dependencies.sh
	@$(MAKE) --no-print-directory build
	@build/release/glia demo

test:
	@sh scripts/install_dependencies.sh test
	@$(MAKE) --no-print-directory build
	@ctest --preset release --no-tests=error --parallel 2

docs: build
	@GLIA_WRITE_DOCS=1 build/release/tests/test_ops_docs

bench bench-quick:
	@sh scripts/install_dependencies.sh bench
	@$(CMAKE) --preset bench
	@$(CMAKE) --build --preset bench --parallel $(JOBS)
	@python3 bench/bench.py --build build/bench $(if $(filter bench-quick,$@),--quick,--write docs/performance.md)

figures: build
	@python3 bench/figures.py --build build/release $(if $(ONLY),--only '$(ONLY)') $(if $(SEED),--seed $(SEED)) \
	    $(if $(MINUTES),--minutes $(MINUTES))

# Does not build tests and examples.
install:
	@$(CMAKE) --preset release
	@$(CMAKE) --build --preset release --parallel $(JOBS) --target glia_static glia_shared glia_command
	@$(CMAKE) --install build/release --prefix $(PREFIX)

clean:
	rm -rf build
