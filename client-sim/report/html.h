// A report as one page for a browser: summary, charts over time, tables, broken promises with their
// stories. Everything is in the page: it needs no network and no other file, works in light and
// dark, on a phone and on paper; without JavaScript, tables tell what the charts show.
//
// Pure. Whatever texts the report holds, they are shown as texts: all are escaped, and the page's
// Content-Security-Policy lets no other script run than its own and nothing be loaded.
#pragma once

#include <string>

#include "client-sim/report/report.h"

namespace nightjar::report {

std::string ToHtml(const Report& report);

}  // namespace nightjar::report
