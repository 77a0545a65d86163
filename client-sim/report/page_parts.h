// The page's style and script, built in from page/page.css and page/page.js.
#pragma once

namespace nightjar::report {

extern const char kPageStyle[];
extern const char kPageScript[];

}  // namespace nightjar::report
