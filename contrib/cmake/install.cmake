# What is installed besides the program (proxy/CMakeLists.txt), and how it is
# packed: `cpack -G DEB` in the build folder.

install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright)
install(FILES contrib/ARCHITECTURE.md contrib/HACKING.md
	DESTINATION ${CMAKE_INSTALL_DOCDIR}/contrib)

# One configuration per engine, and one that has every option.
file(GLOB examples CONFIGURE_DEPENDS conf/examples/*.conf)
install(FILES ${examples} DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)

foreach(section 1 5 8)
	file(GLOB pages CONFIGURE_DEPENDS contrib/man/*.${section})
	install(FILES ${pages} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()

include(contrib/package/package.cmake)
