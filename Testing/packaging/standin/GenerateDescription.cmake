# SPDX-License-Identifier: Apache-2.0
foreach(name HOMEPAGE CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS)
  if("${EXTENSION_${name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${name} is not set")
  endif()
endforeach()
file(WRITE "${CMAKE_BINARY_DIR}/${PROJECT_NAME}.description.txt" "homepage ${EXTENSION_HOMEPAGE}\ncontributors ${EXTENSION_CONTRIBUTORS}\ndescription ${EXTENSION_DESCRIPTION}\niconurl ${EXTENSION_ICONURL}\nscreenshoturls ${EXTENSION_SCREENSHOTURLS}\ndepends ${EXTENSION_DEPENDS}\ncategory ${EXTENSION_CATEGORY}\n")
install(FILES "${CMAKE_BINARY_DIR}/${PROJECT_NAME}.description.txt" DESTINATION "share/Slicer-5.10")
