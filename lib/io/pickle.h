#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace iuq::io::pickle {

/// One value of a pickle, as passive data: a pickle may ask for any Python function to be called, and here such a call
/// is a kCall node that names the function and holds its arguments. Nothing is ever looked up or run.
struct Value {
  enum class Kind {
    kNone,
    kBool,        // integer 0 or 1
    kInt,         // integer
    kBigInt,      // text: little-endian two's complement, more than 8 bytes
    kFloat,       // number
    kText,        // text: UTF-8, or the raw bytes of a Python 2 string
    kBytes,       // text
    kList,        // items
    kTuple,       // items
    kSet,         // items
    kDict,        // items: key, value, key, value, ... in file order
    kGlobal,      // text: "module.name"
    kCall,        // items: function, arguments; `state` and `content` when the pickle adds them
    kPersistent,  // items: the persistent id
  };
  Kind kind = Kind::kNone;
  int64_t integer = 0;
  double number = 0;
  std::string_view text;              // into the pickle, or into its Pickle::strings
  std::vector<const Value*> items;
  std::vector<const Value*> content;  // kCall: items appended or set after the call, as in kList or kDict
  const Value* state = nullptr;       // kCall: argument of BUILD

  bool is(Kind k) const { return kind == k; }
  /// kCall: its arguments, null if they are no tuple.
  const std::vector<const Value*>* arguments() const;
  /// kCall: name of the function, "" if it is no global.
  std::string_view function() const;
  /// A kDict, or the kCall that makes an OrderedDict or a defaultdict.
  bool is_dict() const;
  /// Keys and values of a dict, in file order; empty for anything else.
  std::vector<std::pair<const Value*, const Value*>> entries() const;
  const Value* find(std::string_view key) const;  // value of a text key, null if absent
};

const char* name_of(Value::Kind kind);  // "dict", for messages

/// The values of one pickle. They may refer to each other in cycles, so whoever walks them must bound its depth.
class Pickle {
 public:
  /// Reads one pickle (protocols 2 to 5, in binary opcodes) from the start of `bytes`, which must outlive this object.
  /// `where` opens every message. Error(kBadData) for truncation, stack or memo misuse, opcodes that protocol 2 to 5
  /// writers do not use for data (extension registry, out-of-band buffers, text opcodes), and more than 16 million values.
  Pickle(std::string_view bytes, std::string where);
  Pickle(const Pickle&) = delete;
  Pickle& operator=(const Pickle&) = delete;

  const Value& root() const { return *root_; }
  size_t consumed() const { return consumed_; }  // bytes up to and with the final STOP
  /// All persistent ids, in file order.
  const std::vector<const Value*>& persistent() const { return persistent_; }

 private:
  friend class Machine;
  std::deque<Value> values_;
  std::deque<std::string> strings_;
  std::vector<const Value*> persistent_;
  const Value* root_ = nullptr;
  size_t consumed_ = 0;
};

}  // namespace iuq::io::pickle
