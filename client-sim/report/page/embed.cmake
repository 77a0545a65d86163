# Writes a C++ source that holds the page's style and script.
# cmake -DFOLDER=... -DOUT=... -P embed.cmake
file(READ ${FOLDER}/page.css style)
file(READ ${FOLDER}/page.js script)
file(WRITE ${OUT} "// Generated from client-sim/report/page/.
#include \"client-sim/report/page_parts.h\"

namespace nightjar::report {

const char kPageStyle[] = R\"nightjar(${style})nightjar\";
const char kPageScript[] = R\"nightjar(${script})nightjar\";

}  // namespace nightjar::report
")
