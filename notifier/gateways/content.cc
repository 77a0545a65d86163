#include "notifier/gateways/content.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "notifier/core/preview.h"

namespace nightjar::notify {
namespace {

// More is shown by no screen, and every byte costs on the way.
constexpr size_t kTitle = 128, kBody = 1024;

Lines Whole(const Content& content) {
  Lines lines;
  const std::string generic = GenericText(content.language, content.count);
  if (!content.preview) return {"", generic};
  lines.title = content.title.empty() ? content.author : content.title;
  lines.body = content.text.empty() ? generic : content.text;
  if (!content.title.empty()) lines.body = content.author + ": " + lines.body;
  return lines;
}

}  // namespace

std::string JsonText(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string FitLines(const Content& content, size_t most,
                     const std::function<nlohmann::json(const Lines&)>& make) {
  const Lines whole = Whole(content);
  const size_t frame = JsonText(make({})).size();
  if (frame > most) return "";
  const std::string title = CutForJson(whole.title, std::min(kTitle, most - frame));
  const size_t left = most - frame - JsonBytes(title);
  return JsonText(make({title, CutForJson(whole.body, std::min(kBody, left))}));
}

int64_t TtlSeconds(const Content& content, int64_t now_ms, int64_t most) {
  return std::clamp((content.expires_ms - now_ms) / 1000, int64_t{0}, most);
}

}  // namespace nightjar::notify
