# Compiles one line per header that the core must not include, with the core's include path: each has to
# fail with our own words. And a file without any has to compile, so that the test can fail.
#   cmake -DCXX=... -DROOT=... -DWORK=... -P purity.cmake
set(forbidden hiredis/hiredis.h hiredis/async.h mosquitto.h mosquitto_plugin.h mosquitto_broker.h
    rocksdb/db.h MQTTAsync.h MQTTClient.h mqtt/async_client.h sys/socket.h sys/epoll.h netdb.h poll.h
    spdlog/spdlog.h thread chrono)
set(flags -std=c++20 -fsyntax-only -I${ROOT}/cmake/forbidden_in_core -I${ROOT})
file(MAKE_DIRECTORY ${WORK})

file(WRITE ${WORK}/pure.cc "#include <string>\n#include \"plugin/core/engine.h\"\n")
execute_process(COMMAND ${CXX} ${flags} ${WORK}/pure.cc RESULT_VARIABLE result ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "what the core may include does not compile:\n${errors}")
endif()

foreach(header IN LISTS forbidden)
  file(WRITE ${WORK}/impure.cc "#include <${header}>\n")
  execute_process(COMMAND ${CXX} ${flags} ${WORK}/impure.cc RESULT_VARIABLE result
                  ERROR_VARIABLE errors)
  if(result EQUAL 0 OR NOT errors MATCHES "plugin/core is pure|plugin/core does no I/O")
    message(FATAL_ERROR "the core can include <${header}>:\n${errors}")
  endif()
endforeach()

# Headers that standard ones include too cannot be shut out; the sources are looked at instead.
file(GLOB sources ${ROOT}/plugin/core/*.cc ${ROOT}/plugin/core/*.h)
foreach(source IN LISTS sources)
  file(STRINGS ${source} found REGEX
       "#include <(mutex|atomic|condition_variable|future|ctime|time.h|unistd.h|fstream|iostream|cstdio|random)>|SystemNow|std::this_thread|rand\\(")
  if(found)
    message(FATAL_ERROR "${source}: ${found}")
  endif()
endforeach()
