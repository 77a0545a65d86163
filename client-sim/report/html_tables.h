// The parts of the page that are text and tables. Pure; each appends to `page`, escaped.
#pragma once

#include <string>
#include <vector>

#include "client-sim/report/charts.h"
#include "client-sim/report/report.h"

namespace nightjar::report {

struct Table {
  std::string caption;
  std::vector<std::string> columns;  // the first is the row's name
  std::vector<std::vector<std::string>> rows;
  size_t text_columns = 1;  // so many from the left are text, the others figures
};
void AppendTable(std::string& page, const Table& table);

void AppendTiles(std::string& page, const Report& report);
void AppendViolations(std::string& page, const Report& report);
void AppendTroubles(std::string& page, const Report& report);
void AppendPhases(std::string& page, const Report& report);
void AppendCosts(std::string& page, const Report& report);
void AppendFaults(std::string& page, const Report& report);
void AppendRun(std::string& page, const Report& report);  // options, machine, how to do it again
// What the charts show, for who cannot see them.
void AppendChartTables(std::string& page, const Charts& charts);

}  // namespace nightjar::report
