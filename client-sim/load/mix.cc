#include "client-sim/load/mix.h"

#include <algorithm>
#include <sstream>

namespace nightjar::load {

const line::Shape* Mix::Find(double lot) const {
  const auto at = std::upper_bound(up_to.begin(), up_to.end(), lot);
  return at == up_to.end() ? nullptr : &shapes[static_cast<size_t>(at - up_to.begin())];
}

bool Mix::goes_half_open() const {
  return std::any_of(shapes.begin(), shapes.end(),
                     [](const line::Shape& shape) { return shape.half_open_every_ns > 0; });
}

Result<Mix> ReadMix(const std::string& text) {
  Mix mix;
  std::istringstream parts(text);
  std::string part;
  double sum = 0;
  while (std::getline(parts, part, ',')) {
    const size_t colon = part.find(':');
    const auto shape = line::FindShape(part.substr(0, colon));
    if (!shape) {
      std::string names;
      for (const auto& name : line::ShapeNames()) names += (names.empty() ? "" : ", ") + name;
      return Status(Code::kInvalidArgument,
                    "line: no preset '" + part.substr(0, colon) + "' (there are: " + names + ")");
    }
    sum += colon == std::string::npos ? 1 : std::stod(part.substr(colon + 1));
    mix.shapes.push_back(*shape);
    mix.up_to.push_back(sum);
  }
  return mix;
}

}  // namespace nightjar::load
