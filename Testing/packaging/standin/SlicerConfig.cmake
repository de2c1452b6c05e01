# SPDX-License-Identifier: Apache-2.0
# A small stand-in for Slicer's CMake package: it copies and installs what an extension lists, at the places where Slicer
# does (SlicerMacroBuildScriptedModule.cmake, ctkMacroCompilePythonScript.cmake), and refuses what Slicer refuses.
set(Slicer_FOUND TRUE)
set(Slicer_VERSION "5.10")
set(Slicer_USE_FILE "${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake")
set(Slicer_EXTENSION_GENERATE_CONFIG "${CMAKE_CURRENT_LIST_DIR}/GenerateDescription.cmake")
set(Slicer_EXTENSION_CPACK "${CMAKE_CURRENT_LIST_DIR}/CheckMetadata.cmake")
