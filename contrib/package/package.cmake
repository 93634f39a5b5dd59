# The packages that `cpack` makes, in the build folder: a Debian package
# (-G DEB) and an archive (-G TGZ).

set(CPACK_PACKAGE_NAME dbtls)
set(CPACK_PACKAGE_VENDOR "dbtls")
set(CPACK_PACKAGE_CONTACT "dbtls")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
	${PROJECT_SOURCE_DIR}/contrib/package/postinst)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
	"dbtls stands between database clients and databases and brings TLS to
the connections of clients that cannot do it, or do it without checking
whom they talk to.")

include(CPack)
