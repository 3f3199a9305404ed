# SPDX-License-Identifier: Apache-2.0
# Shared by the scripts here; source it. Bash only, no other dependency, works without a terminal.

# Messages go to stderr, so that a script's stdout stays its result.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() { say "$*"; exit 1; }

# What runs a command as root: nothing for root, else sudo. Without a terminal sudo may not ask.
as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null 2>&1; then
		if [ -t 0 ]; then sudo -- "$@"; else sudo -n -- "$@"; fi
	else
		die "needs root for: $*
  run it as root, or install and configure sudo, or install the packages yourself"
	fi
}

package_installed() {
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# Install the Debian packages that are missing; asks nothing, touches no package that is there.
need_packages() {
	local missing=() p
	command -v dpkg-query >/dev/null 2>&1 ||
		die "this is no Debian (there is no dpkg). Install the equivalents of: $*"
	for p in "$@"; do
		package_installed "$p" || missing+=("$p")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	say "installing ${missing[*]}"
	apt_install "${missing[@]}" && return 0
	say "apt-get could not install them; trying once more with fresh package lists"
	as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq >&2 || return 1
	apt_install "${missing[@]}"
}

apt_install() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
		-o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120 "$@" >&2 </dev/null
}
