# SPDX-License-Identifier: Apache-2.0
# Slicer's packaging reads the licence from the root of the extension.
if(NOT EXISTS "${CMAKE_SOURCE_DIR}/LICENSE.txt")
  message(FATAL_ERROR "LICENSE.txt is missing")
endif()
