// Which shares of a crowd sit on which kind of line.
//
// Plain value. No I/O.
#pragma once

#include <string>
#include <vector>

#include "client-sim/line/shape.h"
#include "common/base/result.h"

namespace nightjar::load {

struct Mix {
  std::vector<line::Shape> shapes;
  std::vector<double> up_to;  // ascending sums of shares; beyond the last: unshaped

  // Of the one with this lot, 0 to 1; nullptr: unshaped. Valid as long as the mix.
  const line::Shape* Find(double lot) const;
  // Some line goes dead without either end being told.
  bool goes_half_open() const;
};

// "3g", or "edge:0.3,3g:0.7". kInvalidArgument names what is no preset. REQUIRES: crowd::Check() is
// fine with the text.
Result<Mix> ReadMix(const std::string& text);

}  // namespace nightjar::load
