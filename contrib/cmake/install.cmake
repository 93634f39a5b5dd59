# What is installed besides the program (proxy/CMakeLists.txt), and how it is
# packed: `cpack -G DEB` in the build folder.

install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES contrib/ARCHITECTURE.md contrib/HACKING.md contrib/NETWORKS.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR}/contrib)

# One configuration per engine, and one that has every option.
file(GLOB examples CONFIGURE_DEPENDS conf/examples/*.conf)
install(FILES ${examples} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

foreach(section 1 5 8)
	file(GLOB pages CONFIGURE_DEPENDS contrib/man/*.${section})
	install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

# A bridge: what explains it is where its links lead somewhere.
install(FILES contrib/nat-bridge/README.md contrib/nat-bridge/keepalived.conf
	DESTINATION ${CMAKE_INSTALL_DOCDIR}/contrib/nat-bridge)
install(FILES contrib/nat-bridge/sysctl.conf
	DESTINATION ${CMAKE_INSTALL_DATADIR}/dbtls/nat-bridge)
install(PROGRAMS contrib/nat-bridge/bridge-up.sh
	contrib/nat-bridge/bridge-down.sh contrib/nat-bridge/bridge-check.sh
	DESTINATION ${CMAKE_INSTALL_DATADIR}/dbtls/nat-bridge)

# Units of systemd name the scripts where they are installed, which is known
# only then.
foreach(unit dbtls.service dbtls-bridge.service dbtls-bridge-names.service
	dbtls-bridge-names.timer)
	install(CODE "
		file(READ \"${PROJECT_SOURCE_DIR}/contrib/systemd/${unit}\" text)
		string(REPLACE \"/usr/share/dbtls/\"
			\"\${CMAKE_INSTALL_PREFIX}/share/dbtls/\"
			text \"\${text}\")
		file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/lib/systemd/system/${unit}\"
			\"\${text}\")")
endforeach()
install(FILES contrib/systemd/dbtls-bridge.conf
	DESTINATION lib/systemd/system/dbtls.service.d RENAME bridge.conf.example)
install(FILES contrib/systemd/dbtls.sysusers
	DESTINATION lib/sysusers.d RENAME dbtls.conf)
install(FILES contrib/systemd/dbtls.tmpfiles
	DESTINATION lib/tmpfiles.d RENAME dbtls.conf)

include(contrib/package/package.cmake)
