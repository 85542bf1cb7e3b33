# Two commands matter: `sudo make demo` and `sudo make test`. Both set up all they need, and are quick the second time.
# Set-up installs Debian packages, makes a virtual environment in .venv and builds the native core; it starts and enables
# no service: the web and DNS servers for the tests are unpacked into .servers and never installed.

PYTHON  ?= /usr/bin/python3
VENV    := .venv
BIN     := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore
export DEBIAN_FRONTEND := noninteractive

APT_PACKAGES := python3 python3-dev python3-setuptools python3-venv cython3 gcc libc6-dev libpcap-dev libtrace3-dev \
                iproute2 nftables openssl util-linux procps ca-certificates xz-utils zstd lz4 tcpdump
APT_SERVERS  := nginx-light apache2-bin knot dnsperf python3-unbound jq tshark rabbitmq-server scamper
APT_BROWSER  := chromium chromium-driver fonts-dejavu-core poppler-utils
NATIVE       := $(wildcard pathspider/chains/*.py pathspider/libtrace/*.pyx pathspider/libtrace/*.pxd pathspider/libtrace/*.c \
                pathspider/libtrace/*.pxi pathspider/libtrace/*.h pathspider/chains/*.pxd)

.PHONY: demo test tests-in-labs other-tests browser-test setup native servers lint types docs docs-pdf fuzz sanitize coverage bench needs deb deb-needs debootstrap deb-test dist dist-test clean

demo: setup
	@echo "Measuring ECN over paths whose truth is known, about a minute"
	$(BIN)/pspdr lab demo

# Two processes: tests wait for most of their time, and those that measure in labs take about as long as all others.
IN_LABS      := tests.docs tests.lab tests.plugins
OTHERS       := $(filter-out $(IN_LABS),$(subst /,.,$(patsubst %/,%,$(sort $(dir $(wildcard tests/*/test_*.py)))) \
                $(basename $(wildcard tests/test_*.py))))
test: setup servers
	@echo "Running all tests in two processes, 10 to 20 minutes; a dot is a test"
	@$(MAKE) --no-print-directory -j2 tests-in-labs other-tests

tests-in-labs:
	$(BIN)/nose2 -s tests -t . $(IN_LABS)

other-tests:
	$(BIN)/nose2 -s tests -t . $(OTHERS)

# Which lines of pathspider/ the tests run, child processes and namespaces included; the table of those that they do not.
# Not seen: the native core (see `sanitize`), and the helpers that run without site-packages (python -I -S) in that form.
coverage: setup servers
	rm -rf build/coverage && mkdir -p -m 1777 build/coverage
	status=0; $(BIN)/coverage run -m nose2 -s tests -t . || status=$$?; \
	    $(BIN)/coverage combine -q && $(BIN)/coverage report && exit $$status

# The report and the documentation in Debian's chromium; pictures for people to look at are then in build/browser.
browser-test: docs docs-pdf $(VENV)/.browser
	$(BIN)/python -m unittest -v tests.browser.report_page tests.browser.docs_pages

setup: $(VENV)/.built

servers: .servers/.fetched

lint: setup
	$(BIN)/ruff check .

types: setup
	$(BIN)/mypy --strict pathspider

docs: setup
	$(BIN)/sphinx-build -W -q -b html docs docs/_build/html

# All of it as one file, printed by Debian's chromium, with contents, page numbers and bookmarks.
docs-pdf: setup $(VENV)/.browser
	$(BIN)/sphinx-build -W -q -b singlehtml docs docs/_build/singlehtml
	$(BIN)/python docs/pdf.py docs/_build/singlehtml/index.html docs/_build/pathspider.pdf
	@ls -l docs/_build/pathspider.pdf

# A million mutated packets, those in tunnels included, through decode, decapsulation, flow table and all chains, and
# 100,000 spoiled quotations through searches for the place; a little of it is in `make test`.
fuzz: setup
	$(BIN)/python -m tests.libtrace.fuzz --packets 1000000
	$(BIN)/python -m tests.run.quotations --quotations 100000

# The native core under AddressSanitizer and UndefinedBehaviorSanitizer: built in a copy of the tree, it passes the native
# tests and a fifth of `make fuzz`. Python's own allocator would hide what is read beyond the end of an object; leaks are
# not looked for, since Python itself ends with memory that it has not freed.
SANITIZE := build/sanitize
SANITIZE_TESTS := $(subst /,.,$(basename $(wildcard tests/libtrace/test_*.py tests/chains/test_*.py) tests/test_observer.py))
SANITIZED_PYTHON = cd $(SANITIZE) && LD_PRELOAD="$$(gcc -print-file-name=libasan.so) $$(gcc -print-file-name=libubsan.so)" \
                   ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=16 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc \
                   PYTHONPATH=$(abspath $(SANITIZE)) $(abspath $(BIN)/python)
sanitize: setup
	mkdir -p $(SANITIZE)
	git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -pt $(SANITIZE)
	cp -pr --parents build/compiled-chains pathspider/libtrace/_core.c $(SANITIZE)
	cd $(SANITIZE) && CFLAGS="-O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined" \
	    LDFLAGS="-fsanitize=address,undefined" $(abspath $(BIN)/python) setup.py -q build_ext --inplace -j2
	$(SANITIZED_PYTHON) -c 'from pathspider.libtrace import _core; assert b"__asan_init" in open(_core.__file__, "rb").read()'
	$(SANITIZED_PYTHON) -m unittest $(SANITIZE_TESTS)
	$(SANITIZED_PYTHON) -m tests.libtrace.fuzz --packets 200000

bench: setup servers
	$(BIN)/python benchmarks/everything.py

# Whatever comes from Debian for any of these targets. Then two of them can run at once: apt takes turns.
needs: $(VENV)/.apt $(VENV)/.browser servers deb-needs debootstrap

# The Debian packages, from the files that git knows, in dist/.
deb: deb-needs
	@cd build/deb/pathspider && if ! dpkg-buildpackage -us -uc -b >../log 2>&1; then tail -n 40 ../log; exit 1; fi
	mkdir -p dist && rm -f dist/pathspider_* dist/pathspider-dbgsym_* dist/pathspider-doc_* && mv build/deb/*.deb build/deb/*.buildinfo build/deb/*.changes dist/
	if command -v lintian >/dev/null; then lintian --fail-on error,warning dist/*.changes; fi

deb-needs: build/deb/pathspider
	@cd $< && if ! { command -v dpkg-checkbuilddeps >/dev/null && dpkg-checkbuilddeps; }; then \
	    if [ "$$(id -u)" != 0 ]; then echo "Build dependencies of debian/control are missing. Run: sudo make deb"; exit 1; fi; \
	    apt-get update -qq && apt-get $(APT_WAITS) build-dep -y -qq --no-install-recommends ./ >/dev/null; \
	fi

# Builds them, installs them into a new Debian 12 without anything else, and looks whether it works there.
deb-test: deb .cache/debian-12.tar
	sh tests/packaging/chroot test .cache/debian-12.tar dist/pathspider_*.deb dist/pathspider-doc_*.deb

# Not with another apt at once: with make -j2 the build needs packages too.
debootstrap: deb-needs
	@[ -e .cache/debian-12.tar ] || command -v debootstrap >/dev/null \
	    || apt-get $(APT_WAITS) install -y -qq --no-install-recommends debootstrap >/dev/null

.cache/debian-12.tar: | debootstrap
	sh tests/packaging/chroot base $@

# Source distribution and wheel, each built in isolation, in dist/.
dist: $(VENV)/.installed build/dist/pathspider
	$(BIN)/python -m pip install -q build
	rm -f dist/pathspider-*
	$(BIN)/python -m build -o dist build/dist/pathspider

# Installs both into empty environments of every Python that is here, and measures with them.
dist-test: dist
	sh tests/packaging/pythons dist

.PHONY: build/deb/pathspider build/dist/pathspider
build/deb/pathspider build/dist/pathspider:
	rm -rf $(@D) && mkdir -p $@
	git ls-files -z | xargs -0 cp --parents -pt $@

clean:
	rm -rf $(VENV) .servers .cache build dist docs/_build pathspider.egg-info pathspider/libtrace/_core.c .mypy_cache .ruff_cache .hypothesis
	find pathspider -name '*.so' -delete
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# -- what the targets above stand on ----------------------------------------------------------------------------------

$(VENV)/.apt: Makefile
	$(call apt_install,$(APT_PACKAGES))
	@mkdir -p $(VENV) && touch $@

$(VENV)/.browser: $(VENV)/.apt
	$(call apt_install,$(APT_BROWSER))
	@touch $@

# Seconds for which apt waits while somebody else installs something.
APT_WAITS := -o DPkg::Lock::Timeout=300

# Those of the packages that are missing.
define apt_install
	@missing=""; for package in $(1); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -n "$$missing" ]; then \
	    if [ "$$(id -u)" != 0 ]; then echo "These Debian packages are missing:$$missing. Run: sudo make $(MAKECMDGOALS)"; exit 1; fi; \
	    echo "Installing Debian packages, about a minute:$$missing"; \
	    apt-get update -qq && apt-get $(APT_WAITS) install -y -qq --no-install-recommends $$missing >/dev/null; \
	fi
endef

$(VENV)/.installed: $(VENV)/.apt requirements.txt requirements_dev.txt
	@echo "Making a virtual environment in $(VENV), about two minutes (900 MB, most of it for tests)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q wheel setuptools
	$(BIN)/python -m pip install -q -r requirements.txt -r requirements_dev.txt
	@touch $@

# compat: a third party's plugins are found beside ours only if this folder is on the path, not behind an import hook.
$(VENV)/.built: $(VENV)/.installed setup.py pyproject.toml $(NATIVE)
	@echo "Building the native core, about a minute"
	$(BIN)/python -m pip install -q --no-deps --config-settings editable_mode=compat -e .
	$(BIN)/python -m compileall -q pathspider
	@touch $@

native: $(VENV)/.installed
	$(BIN)/python setup.py -q build_ext --inplace

# Unpacked, not installed: installing them would start services. What they need is unpacked beside them.
.servers/.fetched: $(VENV)/.apt
	@echo "Unpacking web, DNS and message servers for the tests into .servers, about a minute (200 MB)"
	@if [ "$$(id -u)" = 0 ]; then apt-get update -qq; fi
	sh tests/fetch-servers .servers $(APT_SERVERS)
	@touch $@
