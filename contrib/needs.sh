# shellcheck shell=bash
#
# needs.sh - the Debian packages that scripts of this tree need; sourced
#
#	needs PACKAGE...	installs those that are missing, as root

needs_missing() { # PACKAGE...
	local package
	for package; do
		dpkg-query -W -f '${db:Status-Status}\n' "$package" \
			2>/dev/null | grep -qx installed || echo "$package"
	done
}

needs() { # PACKAGE...
	local missing said
	mapfile -t missing < <(needs_missing "$@")
	[ ${#missing[@]} -gt 0 ] || return 0
	if [ "$(id -u)" != 0 ]; then
		echo "missing packages; as root: apt-get install" \
			"${missing[*]}" >&2
		return 1
	fi
	echo "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	said=$({
		apt-get -qq -o DPkg::Lock::Timeout=300 update &&
			apt-get -qq -y -o DPkg::Lock::Timeout=300 \
				--no-install-recommends install "${missing[@]}"
	} 2>&1 </dev/null) && return 0
	echo "$said" >&2
	return 1
}
