#!/bin/bash
# Does the Debian package make what its service needs?  It is packed, opened and
# set up in a folder, by programs that only say how they were called.
#
# usage: package.sh BUILD_DIR
set -eu

SKIPPED=77 # for ctest
for tool in cpack dpkg-deb dpkg-shlibdeps; do
	command -v $tool >/dev/null || { echo "no $tool"; exit $SKIPPED; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

complain() {
	echo "FAIL $*"
	failed=1
}

cpack -G DEB --config "$1/CPackConfig.cmake" -B "$work" >"$work/cpack" 2>&1 || {
	cat "$work/cpack"
	exit 1
}
dpkg-deb -R "$work"/*.deb "$work/package"
postinst=$work/package/DEBIAN/postinst
for file in usr/sbin/dbtls usr/lib/sysusers.d/dbtls.conf \
    usr/lib/tmpfiles.d/dbtls.conf usr/lib/systemd/system/dbtls.service \
    usr/lib/systemd/system/dbtls.service.d/bridge.conf.example; do
	[ -f "$work/package/$file" ] || complain "the package lacks $file"
done
[ -x "$postinst" ] || {
	complain "the package has no postinst that can be run"
	exit 1
}

# What it calls, with these programs and no others.
called() { # PROGRAMS ARGUMENT...
	local name programs=$1
	shift
	rm -rf "${work:?}/bin"
	mkdir "$work/bin"
	: >"$work/calls"
	for name in $programs; do
		printf '#!/bin/sh\necho "%s $*" >>"%s"\n' "$name" "$work/calls" \
			>"$work/bin/$name"
		chmod +x "$work/bin/$name"
	done
	PATH=$work/bin DPKG_ROOT=$work/root /bin/sh "$postinst" "$@" ||
		complain "postinst $*: status $?"
	cat "$work/calls"
}
expect() { # TEXT CALLED EXPECTED
	[ "$2" = "$3" ] || complain "$1: called $2, and not $3"
}
both=$(printf '%s\n' "systemd-sysusers --root=$work/root dbtls.conf" \
	"systemd-tmpfiles --create --root=$work/root dbtls.conf")
all="systemd-sysusers systemd-tmpfiles systemctl"
expect "set up" "$(called "$all" configure)" "$both"
expect "set up again" "$(called "$all" configure 0.1.0)" "$both"
expect "without systemd" "$(called "" configure)" ""
expect "another step" "$(called "$all" triggered)" ""

[ $failed = 1 ] || echo "package: $(basename "$work"/*.deb)"
exit $failed
