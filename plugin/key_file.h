// The file with the keys that tokens are verified with: read at start, on SIGHUP, and when it
// changes. A bad new file changes nothing: the old keys stay.
//
// Threads: one owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/wire/jwt.h"

namespace nightjar::plugin {

class KeyFile {
 public:
  KeyFile(std::string path, int64_t check_ms) : path_(std::move(path)), check_ms_(check_ms) {}

  // Reads it now. The error is one line that names the file.
  Result<std::shared_ptr<const KeySet>> Load();

  // Has it another modification time, size or inode than when it was last read? Looked up at most
  // every check_ms. Keys in files of their own (pem_file) are read with it, but not watched.
  bool Changed(int64_t mono_ms);

 private:
  struct Stamp {
    int64_t seconds = 0, nanoseconds = 0, size = -1;
    uint64_t inode = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  Stamp Look() const;

  const std::string path_;
  const int64_t check_ms_;
  int64_t next_check_ms_ = INT64_MIN;
  Stamp read_;
};

}  // namespace nightjar::plugin
