# shellcheck shell=bash
real_install() { :; }
real_prepare() { :; }
real_versions() { :; }
part_postgres() { :; }
part_mysql() { :; }
