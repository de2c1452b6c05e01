# SPDX-License-Identifier: Apache-2.0
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR "lib/Slicer-5.10/qt-scripted-modules")
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR "${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")

macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(MODULE "WITH_GENERIC_TESTS;WITH_SUBDIR;VERBOSE" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(MODULE_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "Unknown keywords given to slicerMacroBuildScriptedModule(): ${MODULE_UNPARSED_ARGUMENTS}")
  endif()
  set(module_destination "${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR}")
  foreach(module_file IN LISTS MODULE_SCRIPTS MODULE_RESOURCES)
    if(NOT EXISTS "${CMAKE_CURRENT_SOURCE_DIR}/${module_file}")
      message(FATAL_ERROR "slicerMacroBuildScriptedModule given nonexistent file or directory '${module_file}'")
    endif()
    if(EXISTS "${module_destination}/${module_file}")
      message(FATAL_ERROR "Two modules ship the file '${module_file}'")
    endif()
    configure_file("${module_file}" "${module_destination}/${module_file}" COPYONLY)
  endforeach()
  install(DIRECTORY "${module_destination}/" DESTINATION "${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}"
    USE_SOURCE_PERMISSIONS)
endmacro()

macro(slicer_add_python_unittest)
endmacro()

macro(slicer_add_python_test)
endmacro()
