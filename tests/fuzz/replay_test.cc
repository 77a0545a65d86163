// Runs a fuzz target over its whole corpus, and over pieces of each file, without a fuzzer.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

void FeedOnce(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()), input.size());
}

std::vector<std::string> Corpus() {
  std::vector<std::string> inputs;
  for (const auto& entry : std::filesystem::directory_iterator(NIGHTJAR_CORPUS)) {
    std::ifstream file(entry.path(), std::ios::binary);
    inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::sort(inputs.begin(), inputs.end());
  return inputs;
}

TEST(Corpus, Replays) {
  const std::vector<std::string> inputs = Corpus();
  ASSERT_FALSE(inputs.empty());
  for (const std::string& input : inputs) FeedOnce(input);
}

TEST(Corpus, ReplaysCutShort) {
  FeedOnce("");
  for (const std::string& input : Corpus()) {
    const size_t step = std::max<size_t>(1, input.size() / 8);
    for (size_t size = 0; size < input.size(); size += step) FeedOnce(input.substr(0, size));
  }
}

}  // namespace
