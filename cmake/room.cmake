# nsrelay_room(NAME [USES ROOM...] [LIBRARIES LIB...])
#
# One room of the program as the static library nsrelay_NAME: every src/NAME/*.cpp. It sees the
# public headers of all rooms (tests/include_direction.py holds the direction), and links only
# the rooms that it may use.
function(nsrelay_room name)
  cmake_parse_arguments(ROOM "" "" "USES;LIBRARIES" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp)
  add_library(nsrelay_${name} STATIC ${sources})
  target_include_directories(nsrelay_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include)
  foreach(used IN LISTS ROOM_USES)
    target_link_libraries(nsrelay_${name} PUBLIC nsrelay_${used})
  endforeach()
  target_link_libraries(nsrelay_${name} PUBLIC ${ROOM_LIBRARIES})
endfunction()
