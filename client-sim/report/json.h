// A report as JSON, schema "nightjar-sim-report/1" (docs/report-schema.md has every field).
//
// Reading is for files that anybody may have made: strict about the schema's name and about the
// type of each field it knows, silent about fields it does not know, bounded in size. A field that
// is missing has its default. Pure: files are in file.h.
#pragma once

#include <string>
#include <string_view>

#include "client-sim/report/report.h"
#include "common/base/result.h"

namespace nightjar::report {

inline constexpr std::string_view kSchema = "nightjar-sim-report/1";

enum class Detail {
  kForReading,  // seconds have only the summary of their latencies
  kForMerging,  // and their buckets: about a hundred times as long
};

// Pretty-printed, ends with a new line. Bytes that are not UTF-8 become U+FFFD.
std::string ToJson(const Report& report, Detail detail = Detail::kForReading);

// kInvalidArgument, in one line, that says where: "phases[2].counts.sent: not a whole number".
Result<Report> FromJson(std::string_view text);

}  // namespace nightjar::report
