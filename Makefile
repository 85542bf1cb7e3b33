# Two commands matter: `sudo make demo` and `sudo make test`. Both set up all they need, and are quick the second time.
PYTHON ?= /usr/bin/python3
VENV   := .venv
BIN    := $(VENV)/bin

APT_RUN   := python3 python3-dev python3-venv gcc libc6-dev libpcap-dev libtrace3-dev iproute2 nftables iptables util-linux procps ca-certificates
APT_TESTS := tcpdump curl
NATIVE    := $(wildcard pathspider/libtrace/*.pyx pathspider/libtrace/*.pxd pathspider/libtrace/*.h)

.PHONY: demo test setup native
setup: $(VENV)/.installed
native:
	$(BIN)/python setup.py build_ext --inplace
