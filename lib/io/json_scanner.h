#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace iuq::io {

/// What a JsonScanner reports, in file order. Strings may be moved from.
class JsonEvents {
 public:
  virtual ~JsonEvents() = default;
  virtual void null() = 0;
  virtual void boolean(bool value) = 0;
  virtual void integer(int64_t value) = 0;             // negative
  virtual void unsigned_integer(uint64_t value) = 0;
  virtual void number(double value) = 0;               // has a point or exponent, or exceeds 64 bits
  virtual void string(std::string& value) = 0;
  virtual void key(std::string& name) = 0;
  virtual void start_object() = 0;
  virtual void end_object() = 0;
  virtual void start_array() = 0;
  virtual void end_array() = 0;
};

/// A strict streaming JSON parser (RFC 8259) for files too large for a tree; several times as fast as the general one,
/// because such files are nearly all short numbers. Accepts and rejects what nlohmann::json does, but for nesting
/// deeper than 64. Numbers are correctly rounded.
class JsonScanner {
 public:
  /// Opens `path` ("-" is stdin). Error(kNoInput).
  explicit JsonScanner(const std::string& path);
  /// Reads the one value the file must hold. Errors: kIo, kBadData naming file, line and column.
  void scan(JsonEvents& events);

 private:
  int peek() { return next_ != end_ || refill() ? static_cast<unsigned char>(*next_) : -1; }
  bool refill();
  int skip_space();
  void value(int first, int depth);
  void object(int depth);
  void array(int depth);
  void number();
  void convert_number(const char* begin, const char* end);
  void read_string();  // into text_; the opening quote is next
  void escape();
  uint32_t hex4();
  void utf8(int lead);
  void expect(const char* literal);
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void unexpected(const char* wanted);

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::FILE* stream_ = nullptr;
  std::vector<char> block_;
  const char* next_ = nullptr;
  const char* end_ = nullptr;
  int64_t before_ = 0;      // bytes of the file before block_
  int64_t line_ = 1, line_start_ = 0;
  JsonEvents* events_ = nullptr;
  std::string text_;        // the string or split number being read
};

}  // namespace iuq::io
