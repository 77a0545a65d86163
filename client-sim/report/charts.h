// What the page draws over time: a report's seconds as lines of points. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client-sim/report/report.h"

namespace nightjar::report {

struct Line {
  std::string name;
  std::string style;                          // a class of page.css: how the line looks
  std::vector<std::optional<double>> values;  // one a point of time; none: nothing was measured
};

struct Chart {
  std::string title, unit;
  std::string note;  // how to read it
  bool logarithmic = false;
  std::vector<Line> lines;
};

struct Charts {
  int64_t step_s = 1;        // what one point stands for
  std::vector<int64_t> t_s;  // the beginning of each point
  std::vector<Chart> charts;
};

// At most `most_points` points of time: longer runs are told in steps of several seconds, in which
// rates are averages, latencies the worst second's, and all else as at the step's end. Charts in
// which nothing was measured are left out. REQUIRES: most_points > 0.
Charts MakeCharts(const Report& report, size_t most_points);

}  // namespace nightjar::report
