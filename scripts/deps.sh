#!/usr/bin/env bash
# Installs what the tests need besides Go: a real redis-server, and the AWS CLI
# and curl, which drive the simulated AWS. Everything else (NATS, that AWS) is
# Go code and runs inside the tests.
set -euo pipefail

# Commands, and the Debian packages that have them.
needed=(redis-server:redis-server aws:awscli curl:curl)
missing=()
for need in "${needed[@]}"; do
	command -v "${need%:*}" >/dev/null || missing+=("${need#*:}")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

if ! command -v apt-get >/dev/null; then
	cat >&2 <<-MESSAGE
		The tests need ${missing[*]} on the PATH, and this system has no apt-get.
		Install with your package manager, for instance
		  macOS: brew install redis awscli    Fedora: dnf install redis awscli2    Alpine: apk add redis aws-cli curl
	MESSAGE
	exit 1
fi

sudo=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "The tests need ${missing[*]}. As root: apt-get install ${missing[*]}" >&2
		exit 1
	fi
	sudo=sudo
fi

echo "installing ${missing[*]}"
lock='-o DPkg::Lock::Timeout=300'
# A stale package list is the usual reason for a failed install, so ask twice.
# The tests start their own server: nothing is to run as a service.
install() {
	$sudo env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
		apt-get $lock install -y -q --no-install-recommends "${missing[@]}" </dev/null
}
install || { $sudo apt-get $lock update -q && install; }
for need in "${needed[@]}"; do
	command -v "${need%:*}" >/dev/null || {
		echo "${need#*:} was installed but ${need%:*} is not on the PATH" >&2
		exit 1
	}
done
