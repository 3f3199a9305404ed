# SPDX-License-Identifier: Apache-2.0
# What `cmake --install` puts where Debian would put it.
set_property(SOURCE ${CMAKE_SOURCE_DIR}/core/policy_load.c TARGET_DIRECTORY sluice_core
             APPEND PROPERTY COMPILE_DEFINITIONS SLUICE_BUILD_DIR="${CMAKE_BINARY_DIR}")

install(TARGETS sluice RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY profiles/ DESTINATION ${CMAKE_INSTALL_DATADIR}/sluice/profiles
        FILES_MATCHING PATTERN "*.policy")
file(GLOB SLUICE_MAN CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/man/*.[1-8])
foreach(page ${SLUICE_MAN})
  string(REGEX REPLACE ".*\\." "" section ${page})
  install(FILES ${page} DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
endforeach()
install(FILES completions/sluice.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME sluice)
install(FILES completions/_sluice DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES completions/sluice.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES completions/sluice-bench.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
        RENAME sluice-bench)
install(FILES completions/_sluice-bench DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES completions/sluice-bench.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
