#pragma once

#include <cstdint>
#include <string>
#include <string_view>

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

/// Where a byte is in a file; both count from 1, columns in bytes.
struct TextPosition {
  int64_t line = 1, column = 1;
  /// The position behind `text`, which begins here.
  TextPosition after(std::string_view text) const;
};

/// Throw Error(kBadData) naming file and position. `next`: the byte found there, -1 at the end of the file.
[[noreturn]] void json_fail(const std::string& path, TextPosition position, const std::string& what);
[[noreturn]] void json_unexpected(const std::string& path, TextPosition position, int next, const char* wanted);

/// A strict JSON parser (RFC 8259) of one value, several times as fast as the general one on files that are nearly all
/// short numbers. Accepts and rejects what nlohmann::json does, but for nesting deeper than 64 and for NaN, Infinity and
/// -Infinity, which Python writes: they are numbers here, so that they do no harm where nobody reads them. Numbers are
/// correctly rounded.
class JsonScanner {
 public:
  /// `text` holds a value, with space around it at most, that begins at `position` of the file `path`, `depth` levels deep.
  JsonScanner(const std::string& path, std::string_view text, TextPosition position = {}, int depth = 0);
  /// Error(kBadData) naming file, line and column.
  void scan(JsonEvents& events);
  /// From here on NaN, Infinity and -Infinity are errors as well.
  void refuse_nan() { takes_nan_ = false; }

 private:
  int peek() const { return next_ != end_ ? static_cast<unsigned char>(*next_) : -1; }
  int skip_space();
  void value(int first, int depth);
  void object(int depth);
  void array(int depth);
  void number();
  void read_string();  // into text_; the opening quote is next
  void escape();
  uint32_t hex4();
  void utf8(int lead);
  void expect(const char* literal);
  void not_finite(const char* literal, double value);
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void unexpected(const char* wanted) const;

  const std::string& path_;
  const char* begin_;
  const char* next_;
  const char* end_;
  TextPosition position_;   // of begin_
  int depth_;
  bool takes_nan_ = true;
  JsonEvents* events_ = nullptr;
  std::string text_;        // the string being read
};

}  // namespace iuq::io
