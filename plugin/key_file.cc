#include "plugin/key_file.h"

#include <sys/stat.h>

namespace nightjar::plugin {

KeyFile::Stamp KeyFile::Look() const {
  struct stat info {};
  if (stat(path_.c_str(), &info) != 0) return {};
  return {info.st_mtim.tv_sec, info.st_mtim.tv_nsec, info.st_size, info.st_ino};
}

Result<std::shared_ptr<const KeySet>> KeyFile::Load() {
  read_ = Look();  // before reading: what changes meanwhile is seen as another change
  auto keys = KeySet::Load(path_);
  if (keys.ok()) return keys;
  std::string why = keys.status().message();
  if (why.find(path_) == std::string::npos) why = path_ + ": " + why;
  return Status(keys.status().code(), "key file " + why);
}

bool KeyFile::Changed(int64_t mono_ms) {
  if (mono_ms < next_check_ms_) return false;
  next_check_ms_ = mono_ms + check_ms_;
  const Stamp stamp = Look();
  // A file that is gone is being replaced, or was taken away: nothing to read either way.
  return stamp.size >= 0 && !(stamp == read_);
}

}  // namespace nightjar::plugin
