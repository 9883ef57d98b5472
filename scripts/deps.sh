#!/usr/bin/env bash
# Installs what the tests need besides Go: a real redis-server. Everything else
# (NATS, simulated AWS) is Go code and runs inside the tests.
set -euo pipefail

if command -v redis-server >/dev/null; then
	exit 0
fi

if ! command -v apt-get >/dev/null; then
	cat >&2 <<-'MESSAGE'
		The tests need redis-server on the PATH, and this system has no apt-get.
		Install it with your package manager, for instance
		  macOS: brew install redis    Fedora: dnf install redis    Alpine: apk add redis
	MESSAGE
	exit 1
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "The tests need redis-server. As root: apt-get install redis-server" >&2
		exit 1
	fi
	sudo=sudo
fi

echo "installing redis-server"
lock='-o DPkg::Lock::Timeout=300'
# A stale package list is the usual reason for a failed install, so ask twice.
# The tests start their own server: nothing is to run as a service.
install() {
	$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get $lock install -y -q --no-install-recommends redis-server </dev/null
}
install || { $sudo apt-get $lock update -q && install; }
command -v redis-server >/dev/null || {
	echo "redis-server was installed but is not on the PATH" >&2
	exit 1
}
