#include "lib/io/pickle.h"

#include <bit>
#include <cstring>
#include <unordered_map>

#include "lib/base/error.h"

namespace iuq::io::pickle {

using Kind = Value::Kind;

namespace {

constexpr size_t kMaxValues = 16'000'000;
constexpr size_t kMaxGlobal = 1000;

// Opcodes by the names that Python's pickletools gives them.
enum Opcode : uint8_t {
  kMark = '(', kStop = '.', kPop = '0', kPopMark = '1', kDup = '2', kBinInt = 'J', kBinInt1 = 'K', kBinInt2 = 'M',
  kNone = 'N', kBinPersId = 'Q', kReduce = 'R', kBinString = 'T', kShortBinString = 'U', kBinUnicode = 'X',
  kAppend = 'a', kBuild = 'b', kGlobal = 'c', kDict = 'd', kEmptyDict = '}', kAppends = 'e', kBinGet = 'h',
  kLongBinGet = 'j', kList = 'l', kEmptyList = ']', kObj = 'o', kBinPut = 'q', kLongBinPut = 'r', kSetItem = 's',
  kTuple = 't', kEmptyTuple = ')', kSetItems = 'u', kBinFloat = 'G', kBinBytes = 'B', kShortBinBytes = 'C',
  kProto = 0x80, kNewObj = 0x81, kTuple1 = 0x85, kTuple2 = 0x86, kTuple3 = 0x87, kNewTrue = 0x88, kNewFalse = 0x89,
  kLong1 = 0x8a, kLong4 = 0x8b, kShortBinUnicode = 0x8c, kBinUnicode8 = 0x8d, kBinBytes8 = 0x8e, kEmptySet = 0x8f,
  kAddItems = 0x90, kFrozenSet = 0x91, kNewObjEx = 0x92, kStackGlobal = 0x93, kMemoize = 0x94, kFrame = 0x95,
  kByteArray8 = 0x96,
};

}  // namespace

// The pickle machine: a stack, marks into it, and a memo.
class Machine {
 public:
  Machine(Pickle& out, std::string_view bytes, const std::string& where) : out_(out), bytes_(bytes), where_(where) {}

  void run() {
    while (!stopped_) step(take_byte());
    if (stack_.size() != 1) fail(cat("ends with ", stack_.size(), " values on its stack instead of 1"));
    out_.root_ = stack_.back();
    out_.consumed_ = position_;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kBadData, cat(where_, ": the pickle ", what, " (at byte ", position_, ")"));
  }

  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - position_) fail(cat("needs ", size, " more bytes than there are; the file is truncated"));
    const std::string_view part = bytes_.substr(position_, size);
    position_ += size;
    return part;
  }
  uint8_t take_byte() { return static_cast<uint8_t>(take(1)[0]); }
  template <class T>
  T take_number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string_view take_line() {
    const size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) fail("has a line without an end; the file is truncated");
    const std::string_view line = take(end - position_);
    ++position_;
    return line;
  }

  Value* make(Kind kind) {
    if (out_.values_.size() >= kMaxValues) fail(cat("has more than ", kMaxValues, " values"));
    out_.values_.emplace_back().kind = kind;
    return &out_.values_.back();
  }
  Value* push(Kind kind) {
    Value* value = make(kind);
    stack_.push_back(value);
    return value;
  }
  void push_text(Kind kind, std::string_view text) { push(kind)->text = text; }
  void push_int(int64_t number, Kind kind = Kind::kInt) { push(kind)->integer = number; }

  Value* pop() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("takes a value from an empty stack");
    Value* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  Value* top() {
    Value* value = pop();
    stack_.push_back(value);
    return value;
  }
  std::vector<const Value*> pop_to_mark() {
    if (marks_.empty()) fail("looks for a mark that was never set");
    std::vector<const Value*> items(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()), stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return items;
  }

  void add_items(std::vector<const Value*> items, bool pairs) {
    if (pairs && items.size() % 2 != 0) fail("sets a key without a value");
    Value* target = top();
    const bool fits = pairs ? target->is(Kind::kDict) : target->is(Kind::kList) || target->is(Kind::kSet);
    if (!fits && !target->is(Kind::kCall)) fail(cat("adds items to a ", name_of(target->kind)));
    auto& list = fits ? target->items : target->content;
    list.insert(list.end(), items.begin(), items.end());
  }

  void push_tuple(size_t count) {
    Value* tuple = make(Kind::kTuple);
    tuple->items.resize(count);
    for (size_t i = count; i > 0; --i) tuple->items[i - 1] = pop();
    stack_.push_back(tuple);
  }

  void push_long(std::string_view digits) {
    if (digits.size() > 8) return push_text(Kind::kBigInt, digits);
    uint64_t value = !digits.empty() && (digits.back() & 0x80) ? ~uint64_t{0} : 0;  // sign extension
    for (size_t i = 0; i < digits.size(); ++i) {
      value &= ~(uint64_t{0xff} << (8 * i));
      value |= uint64_t{static_cast<uint8_t>(digits[i])} << (8 * i);
    }
    push_int(static_cast<int64_t>(value));
  }

  void push_global(std::string_view module, std::string_view name) {
    // A memoised name can be used over and over at no cost to the file, so its length is bounded.
    if (module.size() + name.size() > kMaxGlobal) fail("names a global by more than 1000 bytes");
    const std::string& full = out_.strings_.emplace_back(cat(module, ".", name));
    push_text(Kind::kGlobal, full);
  }

  void push_call(Value* function, Value* arguments) { push(Kind::kCall)->items = {function, arguments}; }

  void build() {
    Value* state = pop();
    Value* target = top();
    if (target->is(Kind::kCall)) target->state = state;  // state of anything else is of no use to us
  }

  void put(uint64_t index) { memo_[index] = top(); }
  void get(uint64_t index) {
    const auto it = memo_.find(index);
    if (it == memo_.end()) fail(cat("reads memo ", index, ", which was never written"));
    stack_.push_back(it->second);
  }

  void call(uint8_t opcode) {
    if (opcode == kObj) {
      std::vector<const Value*> items = pop_to_mark();
      if (items.empty()) fail("makes an object of nothing");
      Value* arguments = make(Kind::kTuple);
      arguments->items.assign(items.begin() + 1, items.end());
      push(Kind::kCall)->items = {items[0], arguments};
      return;
    }
    if (opcode == kNewObjEx) pop();  // keyword arguments
    Value* arguments = pop();
    push_call(pop(), arguments);
  }

  void step(uint8_t opcode) {
    if (stack_.size() > kMaxValues || marks_.size() > kMaxValues) fail("has a stack that is too deep");
    if (step_container(opcode) || step_scalar(opcode)) return;
    switch (opcode) {
      case kProto: {
        const int protocol = take_byte();
        if (protocol < 2 || protocol > 5) fail(cat("has protocol ", protocol, "; 2 to 5 are supported"));
        return;
      }
      case kFrame: take_number<uint64_t>(); return;
      case kStop: stopped_ = true; return;
      case kPop:
        if (!marks_.empty() && marks_.back() == stack_.size()) marks_.pop_back();
        else pop();
        return;
      case kPopMark: pop_to_mark(); return;
      case kDup: stack_.push_back(top()); return;
      case kGlobal: {
        const std::string_view module = take_line();
        return push_global(module, take_line());
      }
      case kStackGlobal: {
        const Value* name = pop();
        const Value* module = pop();
        if (!name->is(Kind::kText) || !module->is(Kind::kText)) fail("names a global by something that is no text");
        return push_global(module->text, name->text);
      }
      case kReduce: case kNewObj: case kNewObjEx: case kObj: return call(opcode);
      case kBuild: return build();
      case kBinPersId: {
        Value* id = pop();
        push(Kind::kPersistent)->items = {id};
        out_.persistent_.push_back(stack_.back());
        return;
      }
      case kMemoize: return put(memo_.size());
      case kBinPut: return put(take_byte());
      case kLongBinPut: return put(take_number<uint32_t>());
      case kBinGet: return get(take_byte());
      case kLongBinGet: return get(take_number<uint32_t>());
      default:
        fail(cat("uses opcode ", int{opcode}, ", which is damage or not one of protocols 2 to 5; ",
                 "load the file in Python and save it again with the current torch.save"));
    }
  }

  bool step_container(uint8_t opcode) {
    switch (opcode) {
      case kMark: marks_.push_back(stack_.size()); return true;
      case kEmptyList: push(Kind::kList); return true;
      case kEmptyTuple: push(Kind::kTuple); return true;
      case kEmptyDict: push(Kind::kDict); return true;
      case kEmptySet: push(Kind::kSet); return true;
      case kTuple1: push_tuple(1); return true;
      case kTuple2: push_tuple(2); return true;
      case kTuple3: push_tuple(3); return true;
      case kList: case kTuple: case kFrozenSet: case kDict: {
        std::vector<const Value*> items = pop_to_mark();
        if (opcode == kDict && items.size() % 2 != 0) fail("sets a key without a value");
        const Kind kind = opcode == kList ? Kind::kList
                          : opcode == kTuple ? Kind::kTuple
                          : opcode == kDict ? Kind::kDict : Kind::kSet;
        push(kind)->items = std::move(items);
        return true;
      }
      case kAppend: {
        Value* item = pop();
        add_items({item}, false);
        return true;
      }
      case kSetItem: {
        Value* value = pop();
        Value* key = pop();
        add_items({key, value}, true);
        return true;
      }
      case kAppends: case kAddItems: add_items(pop_to_mark(), false); return true;
      case kSetItems: add_items(pop_to_mark(), true); return true;
      default: return false;
    }
  }

  bool step_scalar(uint8_t opcode) {
    switch (opcode) {
      case kNone: push(Kind::kNone); return true;
      case kNewTrue: push_int(1, Kind::kBool); return true;
      case kNewFalse: push_int(0, Kind::kBool); return true;
      case kBinInt: push_int(take_number<int32_t>()); return true;
      case kBinInt1: push_int(take_byte()); return true;
      case kBinInt2: push_int(take_number<uint16_t>()); return true;
      case kLong1: push_long(take(take_byte())); return true;
      case kLong4: push_long(take(take_number<uint32_t>())); return true;
      case kBinFloat: {
        push(Kind::kFloat)->number = std::bit_cast<double>(__builtin_bswap64(take_number<uint64_t>()));
        return true;
      }
      case kShortBinString: case kShortBinUnicode: push_text(Kind::kText, take(take_byte())); return true;
      case kBinString: case kBinUnicode: push_text(Kind::kText, take(take_number<uint32_t>())); return true;
      case kBinUnicode8: push_text(Kind::kText, take(take_number<uint64_t>())); return true;
      case kShortBinBytes: push_text(Kind::kBytes, take(take_byte())); return true;
      case kBinBytes: push_text(Kind::kBytes, take(take_number<uint32_t>())); return true;
      case kBinBytes8: case kByteArray8: push_text(Kind::kBytes, take(take_number<uint64_t>())); return true;
      default: return false;
    }
  }

  Pickle& out_;
  std::string_view bytes_;
  const std::string& where_;
  size_t position_ = 0;
  bool stopped_ = false;
  std::vector<Value*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, Value*> memo_;
};

Pickle::Pickle(std::string_view bytes, std::string where) { Machine(*this, bytes, where).run(); }

const std::vector<const Value*>* Value::arguments() const {
  return kind == Kind::kCall && items[1]->is(Kind::kTuple) ? &items[1]->items : nullptr;
}

std::string_view Value::function() const {
  return kind == Kind::kCall && items[0]->is(Kind::kGlobal) ? items[0]->text : std::string_view();
}

bool Value::is_dict() const {
  const std::string_view name = function();
  return is(Kind::kDict) || name == "collections.OrderedDict" || name == "collections.defaultdict";
}

std::vector<std::pair<const Value*, const Value*>> Value::entries() const {
  std::vector<std::pair<const Value*, const Value*>> result;
  if (!is_dict()) return result;
  // Python 2 gave an OrderedDict its content as a list of [key, value].
  const auto* given = arguments();
  if (given && given->size() == 1 && given->front()->is(Kind::kList)) {
    for (const Value* pair : given->front()->items) {
      if (pair->items.size() == 2) result.emplace_back(pair->items[0], pair->items[1]);
    }
  }
  const auto& pairs = is(Kind::kDict) ? items : content;
  for (size_t i = 0; i + 1 < pairs.size(); i += 2) result.emplace_back(pairs[i], pairs[i + 1]);
  return result;
}

const Value* Value::find(std::string_view key) const {
  const Value* found = nullptr;  // of equal keys the last one counts, as in Python
  for (const auto& [name, value] : entries()) {
    if (name->is(Kind::kText) && name->text == key) found = value;
  }
  return found;
}

const char* name_of(Kind kind) {
  static const char* const kNames[] = {"None", "bool", "int",  "int",  "float",  "text", "bytes",
                                       "list", "tuple", "set", "dict", "global", "call", "persistent id"};
  return kNames[static_cast<size_t>(kind)];
}

}  // namespace iuq::io::pickle
