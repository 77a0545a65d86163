# Writes a C++ source that holds the function library's parts, in the order of functions/manifest.txt.
# cmake -DFOLDER=... -DOUT=... -P embed.cmake
file(STRINGS ${FOLDER}/manifest.txt names)
set(text "// Generated from common/hub/functions/.\n#include \"common/hub/redis/library.h\"\n\n")
string(APPEND text "namespace nightjar::hub {\n\nconst LibraryPart kLibraryParts[] = {\n")
foreach(name IN LISTS names)
  file(READ ${FOLDER}/${name}.lua body)
  string(APPEND text "{\"${name}\", R\"nightjar(${body})nightjar\"},\n")
endforeach()
list(LENGTH names count)
file(READ ${FOLDER}/testing/clock.lua body)
string(APPEND text "};\nconst size_t kLibraryPartCount = ${count};\n\n")
string(APPEND text "const char kTestClock[] = R\"nightjar(${body})nightjar\";\n\n}  // namespace nightjar::hub\n")
file(WRITE ${OUT} "${text}")
