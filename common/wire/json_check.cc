#include "common/wire/json_check.h"

#include <charconv>
#include <cmath>
#include <initializer_list>
#include <set>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/wire/limits.h"

namespace nightjar {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using nlohmann::json;

constexpr uint64_t kExactMost = (uint64_t{1} << 53) - 1;  // a double is exact up to here

bool Is64Bit(const FieldDescriptor* field) {
  return field->cpp_type() == FieldDescriptor::CPPTYPE_INT64 ||
         field->cpp_type() == FieldDescriptor::CPPTYPE_UINT64;
}

const FieldDescriptor* FindField(const Descriptor* type, const std::string& key) {
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->json_name() == key || type->field(i)->name() == key) return type->field(i);
  }
  return nullptr;
}

// Gets the parser's events one by one and keeps only where it is; nothing is built.
class Checker : public nlohmann::json_sax<json> {
 public:
  explicit Checker(const Descriptor* type) : root_(type) {}

  const std::string& reason() const { return reason_; }

  bool null() override {
    // For a field: not given. In a list it would be nothing at all.
    return !InKnownList() || RefuseValue();
  }
  bool boolean(bool) override { return Fits({FieldDescriptor::CPPTYPE_BOOL}); }
  bool binary(binary_t&) override { return true; }
  bool string(string_t&) override {
    // Of what a string says in place of a number, protobuf is the judge.
    using FD = FieldDescriptor;
    return Fits({FD::CPPTYPE_STRING, FD::CPPTYPE_ENUM, FD::CPPTYPE_INT32, FD::CPPTYPE_UINT32,
                 FD::CPPTYPE_INT64, FD::CPPTYPE_UINT64});
  }
  bool number_integer(number_integer_t value) override {
    return FitsNumber(value >= -static_cast<number_integer_t>(kExactMost));
  }
  bool number_unsigned(number_unsigned_t value) override {
    return FitsNumber(value <= kExactMost);
  }
  bool number_float(number_float_t value, const string_t&) override {
    return FitsNumber(std::abs(value) <= static_cast<double>(kExactMost));
  }

  bool start_object(std::size_t) override {
    if (levels_.size() >= limits::kJsonDepth) return Refuse("JSON nested too deeply");
    if (!Fits({FieldDescriptor::CPPTYPE_MESSAGE})) return false;
    const Descriptor* type = nullptr;
    if (levels_.empty()) {
      type = root_;
    } else if (const FieldDescriptor* field = levels_.back().field; field != nullptr) {
      type = field->message_type();
    }
    levels_.push_back({.type = type, .field = nullptr, .list = false, .seen = {}});
    return true;
  }
  bool end_object() override {
    levels_.pop_back();
    return true;
  }
  bool start_array(std::size_t) override {
    if (levels_.size() >= limits::kJsonDepth) return Refuse("JSON nested too deeply");
    if (levels_.empty()) return Refuse("not a JSON object");
    const FieldDescriptor* field = levels_.back().field;
    if (field != nullptr && (!field->is_repeated() || levels_.back().list)) return RefuseValue();
    // Elements belong to the field that the list belongs to.
    levels_.push_back({.type = nullptr, .field = field, .list = true, .seen = {}});
    return true;
  }
  bool end_array() override {
    levels_.pop_back();
    return true;
  }
  bool key(string_t& name) override {
    Level& level = levels_.back();
    level.field = level.type == nullptr ? nullptr : FindField(level.type, name);
    if (level.field == nullptr) return true;  // unknown fields are ignored
    if (!level.seen.insert(level.field->number()).second) {
      return Refuse("field " + level.field->json_name() + " given twice");
    }
    return true;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    return Refuse("not valid JSON at byte " + std::to_string(position));
  }

 private:
  struct Level {
    const Descriptor* type;        // of an object that belongs to a message; else null
    const FieldDescriptor* field;  // whose value comes next; null: unknown
    bool list;
    std::set<int> seen;
  };

  const FieldDescriptor* Field() const { return levels_.empty() ? nullptr : levels_.back().field; }
  bool InKnownList() const { return Field() != nullptr && levels_.back().list; }

  // Whether a value may stand here, for a field of one of these types.
  bool Fits(std::initializer_list<FieldDescriptor::CppType> types) {
    const FieldDescriptor* field = Field();
    if (field == nullptr) return true;
    if (field->is_repeated() && !levels_.back().list) return RefuseValue();
    for (const FieldDescriptor::CppType type : types) {
      if (field->cpp_type() == type) return true;
    }
    return RefuseValue();
  }
  bool FitsNumber(bool exact) {
    using FD = FieldDescriptor;
    if (!Fits({FD::CPPTYPE_INT32, FD::CPPTYPE_UINT32, FD::CPPTYPE_INT64, FD::CPPTYPE_UINT64,
               FD::CPPTYPE_ENUM})) {
      return false;
    }
    if (exact || Field() == nullptr || !Is64Bit(Field())) return true;
    return Refuse("field " + Field()->json_name() +
                  ": a number of 2^53 or more has to be given as a string");
  }

  bool Refuse(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }
  bool RefuseValue() {
    return Refuse("field " + Field()->json_name() + ": a value of the wrong kind");
  }

  const Descriptor* root_;
  std::vector<Level> levels_;
  std::string reason_;
};

// Takes what it can get of one top-level field.
class Salvager : public nlohmann::json_sax<json> {
 public:
  Salvager(std::string_view camel, std::string_view proto) : camel_(camel), proto_(proto) {}

  JsonField found;

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t value) override {
    if (Wanted()) found.number = value;
    return true;
  }
  bool number_float(number_float_t value, const string_t&) override {
    if (Wanted() && value >= 0 && value <= static_cast<double>(kExactMost) &&
        value == std::floor(value)) {
      found.number = static_cast<uint64_t>(value);
    }
    return true;
  }
  bool string(string_t& value) override {
    if (!Wanted()) return true;
    uint64_t number = 0;
    const char* end = value.data() + value.size();
    if (const auto [rest, error] = std::from_chars(value.data(), end, number);
        error == std::errc() && rest == end && !value.empty()) {
      found.number = number;
    }
    found.text = value;
    return true;
  }
  bool start_object(std::size_t) override { return ++depth_ <= static_cast<int>(limits::kJsonDepth); }
  bool end_object() override { return --depth_, true; }
  bool start_array(std::size_t) override { return ++depth_ <= static_cast<int>(limits::kJsonDepth); }
  bool end_array() override { return --depth_, true; }
  bool key(string_t& name) override {
    if (depth_ == 1) at_field_ = name == camel_ || name == proto_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  bool Wanted() const { return depth_ == 1 && at_field_; }

  std::string_view camel_, proto_;
  int depth_ = 0;
  bool at_field_ = false;
};

}  // namespace

Status CheckJson(std::string_view text, const Descriptor* type) {
  Checker checker(type);
  if (json::sax_parse(text.begin(), text.end(), &checker)) return Status::Ok();
  return {Code::kInvalidArgument, checker.reason()};
}

JsonField SalvageJsonField(std::string_view text, std::string_view camel_name,
                           std::string_view proto_name) {
  Salvager salvager(camel_name, proto_name);
  (void)json::sax_parse(text.begin(), text.end(), &salvager);
  return salvager.found;
}

}  // namespace nightjar
