# shellcheck shell=bash
#
# roots.sh - programs of any Debian suite, unpacked into folders of our own
#
#	root_make NAME SUITE PACKAGE...
#		resolves PACKAGE... in SUITE with everything they depend on,
#		downloads what is not there yet and unpacks it.  1: the suite
#		cannot be reached, or has no such package.  only:PACKAGE comes
#		without what it depends on.
#	in_root [-u] [-t SECONDS] NAME [VAR=VALUE]... COMMAND...
#		becomes COMMAND inside (see the script of that name); in the
#		network namespace $ROOT_NETWORK, if that is set.
#
# apt works on private state: this machine's packages are never touched, and
# no script of a package is run.  The mirrors are those of this machine's apt.

CACHE=${DBTLS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dbtls}
ROOTS=$CACHE/roots
readonly CACHE ROOTS

# What servers and drivers do not need to run; a hundred megabytes in all.
readonly ROOT_UNWANTED='perl.*|libperl.*|libllvm.*|libz3-4|ssl-cert|ucf|openssl|systemd|libsystemd-shared|libjs-.*|ca-certificates.*'

# The mirror that this machine's apt uses, security archive or not.
root_mirror() { # main|security
	# shellcheck disable=SC2016 # apt's own placeholders
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		'Origin: Debian' 2>/dev/null | sort -u | if [ "$1" = main ]; then
		grep -v security
	else
		grep security
	fi | head -n 1
}

root_sources() { # SUITE
	local key=/usr/share/keyrings/debian-archive-keyring.gpg
	local main security
	main=$(root_mirror main)
	security=$(root_mirror security)
	main=${main:-http://deb.debian.org/debian/}
	security=${security:-http://deb.debian.org/debian-security/}
	echo "deb [signed-by=$key] $main $1 main"
	if [ "$1" != sid ]; then
		echo "deb [signed-by=$key] $main $1-updates main"
		echo "deb [signed-by=$key] $security $1-security main"
	fi
}

root_apt_conf() { # FOLDER
	cat <<-CONF
		Dir::State "$1/state";
		Dir::State::status "$1/status";
		Dir::Cache "$1/cache";
		Dir::Etc::sourcelist "$1/sources.list";
		Dir::Etc::sourceparts "$1/empty";
		Dir::Etc::preferences "/dev/null";
		Dir::Etc::preferencesparts "$1/empty";
		APT::Sandbox::User "root";
		APT::Install-Recommends "false";
		APT::Keep-Downloaded-Packages "true";
		Acquire::Languages "none";
		Acquire::Retries "3";
		#clear APT::Update::Post-Invoke;
		#clear APT::Update::Post-Invoke-Success;
		#clear DPkg::Post-Invoke;
	CONF
}

# Private apt state for a suite, with its lists; fetched once a day at most,
# because a list that is old names packages that the mirror has dropped.
root_apt() { # SUITE
	local dir=$CACHE/apt/$1
	if [ -e "$dir/fresh" ] &&
		[ -z "$(find "$dir/fresh" -mmin +1440 -print)" ]; then
		return 0
	fi
	mkdir -p "$dir"/{state/lists/partial,cache/archives/partial,empty}
	: >"$dir/status"
	root_sources "$1" >"$dir/sources.list"
	root_apt_conf "$dir" >"$dir/apt.conf"
	APT_CONFIG=$dir/apt.conf apt-get -qq update \
		-o APT::Update::Error-Mode=any >&2 || return 1
	touch "$dir/fresh"
}

# URI, file, size and hash of each package wanted, one a line.
root_resolve() { # SUITE PACKAGE...
	local dir=$CACHE/apt/$1 line package whole=() only=()
	shift
	for package; do
		if [[ $package == only:* ]]; then
			only+=("${package#only:}")
		else
			whole+=("$package")
		fi
	done
	root_uris "$dir" -y install "${whole[@]}" >"$dir/uris" || return 1
	[ ${#only[@]} = 0 ] ||
		root_uris "$dir" download "${only[@]}" >>"$dir/uris" || return 1
	while read -r line; do
		[[ $line =~ \ ($ROOT_UNWANTED)_[^\ ]*\.deb\  ]] || echo "$line"
	done <"$dir/uris"
}

root_uris() { # FOLDER APT-GET-ARGUMENT...
	APT_CONFIG=$1/apt.conf apt-get -qq --print-uris \
		-o Dir::Cache::archives="$1/empty" "${@:2}"
}

# Downloads what is not in the cache; apt itself checks the hashes.
root_download() { # SUITE, lines of root_resolve on stdin
	local archives=$CACHE/apt/$1/cache/archives deb version wanted=()
	while read -r _ deb _; do
		[ -e "$archives/$deb" ] && continue
		version=${deb#*_}
		version=${version%_*}
		wanted+=("${deb%%_*}=${version//%3a/:}")
	done
	[ ${#wanted[@]} -gt 0 ] || return 0
	(cd "$archives" && APT_CONFIG=$CACHE/apt/$1/apt.conf \
		apt-get -qq download "${wanted[@]}" >&2)
}

# tar, not dpkg-deb -x, which would replace the links of the merged /usr.
root_unpack() { # SUITE FOLDER, lines of root_resolve on stdin
	local deb
	mkdir -p "$2"/usr/{bin,sbin,lib,lib64}
	ln -s usr/bin usr/sbin usr/lib usr/lib64 "$2"
	while read -r _ deb _; do
		dpkg-deb --fsys-tarfile \
			"$CACHE/apt/$1/cache/archives/$deb" |
			tar -x -C "$2" --keep-directory-symlink --no-same-owner \
				--exclude='./usr/share/doc/*' \
				--exclude='./usr/share/man/*' \
				--exclude='./usr/share/locale/*' -f - || return 1
	done
}

# What the packages' scripts would have made.
root_furnish() { # FOLDER
	mkdir -p "$1"/{proc,dev,sys,tmp,run,root,etc}
	printf '%s\n' 'root:x:0:0:root:/nonexistent:/bin/sh' \
		'db:x:64999:64999:db:/nonexistent:/bin/sh' >"$1/etc/passwd"
	printf '%s\n' 'root:x:0:' 'db:x:64999:' >"$1/etc/group"
	printf '%s\n' '127.0.0.1 localhost db.test' '::1 localhost' >"$1/etc/hosts"
	printf '%s\n' 'passwd: files' 'group: files' 'hosts: files dns' \
		>"$1/etc/nsswitch.conf"
	: >"$1/etc/resolv.conf"
	[ -e "$1/usr/bin/sh" ] || ln -s dash "$1/usr/bin/sh"
}

root_is() { # NAME SUITE PACKAGE...
	[ "$(cat "$ROOTS/$1/.made-of" 2>/dev/null)" = "$(root_stamp "${@:2}")" ]
}
root_stamp() { # SUITE PACKAGE...
	echo "$* $(declare -f root_unpack root_furnish)"
}

# Themes may run side by side: one of them makes what the cache lacks.
cache_locked() { # FUNCTION ARG...
	mkdir -p "$CACHE"
	(
		exec {lock}>"$CACHE/.lock"
		flock "$lock"
		"$@" {lock}>&-
	)
}

root_make() { # NAME SUITE PACKAGE...
	root_is "$@" || cache_locked root_make_locked "$@"
}

root_make_locked() { # NAME SUITE PACKAGE...
	local suite=$2 root=$ROOTS/$1 list=$ROOTS/$1.list
	! root_is "$@" || return 0
	shift 2
	mkdir -p "$ROOTS"
	root_apt "$suite" || return 1
	root_resolve "$suite" "$@" >"$list" || return 1
	root_download "$suite" <"$list" || return 1
	rm -rf "$root.new" "$root"
	root_unpack "$suite" "$root.new" <"$list" || return 1
	root_furnish "$root.new"
	root_stamp "$suite" "$@" >"$root.new/.made-of"
	mv "$root.new" "$root"
}

in_root() { # [-u] [-t SECONDS] NAME [VAR=VALUE]... COMMAND...
	local options=() network=()
	[ -z "${ROOT_NETWORK:-}" ] || network=(nsenter --net="$ROOT_NETWORK")
	while [[ $1 == -* ]]; do
		if [ "$1" = -t ]; then
			options+=(-t "$2")
			shift
		else
			options+=("$1")
		fi
		shift
	done
	exec "${network[@]}" "$REAL/in_root" "${options[@]}" "$ROOTS/$1" \
		"${@:2}"
}
