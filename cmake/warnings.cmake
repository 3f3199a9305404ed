# SPDX-License-Identifier: Apache-2.0
# Warning and hardening flags of every target, gcc and clang alike.
set(SLUICE_C_WARNINGS -Wall -Wextra -Wshadow -Wpointer-arith -Wcast-qual -Wwrite-strings
    -Wstrict-prototypes -Wmissing-prototypes -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough
    -Wno-missing-field-initializers)
add_compile_options("$<$<COMPILE_LANGUAGE:C>:${SLUICE_C_WARNINGS}>")
add_compile_options(-fstack-protector-strong -fno-plt -fPIE -fno-strict-aliasing)
if(NOT CMAKE_BUILD_TYPE STREQUAL "Debug" AND NOT CMAKE_C_FLAGS MATCHES "sanitize")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()
add_link_options(-pie -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
if(SLUICE_WERROR)
  add_compile_options("$<$<COMPILE_LANGUAGE:C>:-Werror>")
endif()
