// Reports and pages as files. Any thread; blocks on the file system.
#pragma once

#include <string>
#include <string_view>

#include "client-sim/report/report.h"
#include "common/base/result.h"

namespace nightjar::report {

// Errors are one line that begins with the path: kNotFound, kPermissionDenied, kInvalidArgument
// (what FromJson says, or beyond 256 MiB), kInternal (anything else of the file system).
Result<Report> ReadReport(const std::string& path);

// Afterwards either the whole of `text` is at `path`, or the status says why not and what was there
// before still is: a temporary file beside it is renamed. Devices and pipes are written directly.
Status WriteFile(const std::string& path, std::string_view text);

// Whether WriteFile would get so far as to write: for saying it before a long run, not after.
Status CheckWritable(const std::string& path);

}  // namespace nightjar::report
