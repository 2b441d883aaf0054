#include "lib/io/hdf5.h"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "lib/base/error.h"

namespace iuq::io {
namespace {

// Every call of the library happens inside one of these: some builds of HDF5 are not safe from several threads, and the
// library's own printing is switched off per thread.
class Library {
 public:
  Library() : lock_(mutex()) {
    // A file whose writes failed on a full disk cannot be closed and stays in the library's lists; its handler at exit
    // then crashes (1.10.8). Every file here is closed by its owner, so that the handler is not needed.
    static const herr_t without_exit_handler = H5dont_atexit();
    (void)without_exit_handler;
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }

 private:
  static std::recursive_mutex& mutex() {
    static std::recursive_mutex m;
    return m;
  }
  std::lock_guard<std::recursive_mutex> lock_;
};

class Id {
 public:
  using Close = herr_t (*)(hid_t);
  Id(hid_t id, Close close) : id_(id), close_(close) {}
  ~Id() {
    if (id_ >= 0) close_(id_);
  }
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  Id(Id&& other) noexcept : id_(std::exchange(other.id_, -1)), close_(other.close_) {}
  operator hid_t() const { return id_; }
  bool ok() const { return id_ >= 0; }

 private:
  hid_t id_;
  Close close_;
};

// What the library says about the innermost failure, in brackets, or nothing.
std::string hdf5_reason() {
  std::string text;
  const auto take = [](unsigned n, const H5E_error2_t* error, void* out) -> herr_t {
    if (n == 0 && error->desc) *static_cast<std::string*>(out) = error->desc;
    return 0;
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take, &text);
  if (text.size() > 200) text.resize(200);
  return text.empty() ? "" : cat(" (", text, ")");
}

Id file_access() {
  Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
#if H5_VERSION_GE(1, 10, 2)
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
#endif
#if H5_VERSION_GE(1, 10, 7)
  H5Pset_file_locking(access, false, true);
#endif
  return access;
}

template <class T>
hid_t native_type();
template <>
hid_t native_type<int64_t>() {
  return H5T_NATIVE_INT64;
}
template <>
hid_t native_type<uint64_t>() {
  return H5T_NATIVE_UINT64;
}
template <>
hid_t native_type<float>() {
  return H5T_NATIVE_FLOAT;
}
template <>
hid_t native_type<double>() {
  return H5T_NATIVE_DOUBLE;
}

// IEEE half precision, as h5py makes it: the library has no such type before 1.14.4.
Id half_type() {
  Id type(H5Tcopy(H5T_IEEE_F32LE), H5Tclose);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

Id stored_type(DType dtype) {
  if (dtype == DType::kF16) return half_type();
  return Id(H5Tcopy(dtype == DType::kBF16 ? H5T_STD_U16LE : H5T_IEEE_F32LE), H5Tclose);
}

Id text_type(size_t bytes) {
  Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, bytes == 0 ? 1 : bytes);  // HDF5 has no string of length 0
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

std::vector<hsize_t> shape_of(hid_t dataset) {
  const Id space(H5Dget_space(dataset), H5Sclose);
  const int rank = space.ok() ? H5Sget_simple_extent_ndims(space) : -1;
  if (rank < 0 || rank > 8) return {};
  std::vector<hsize_t> shape(static_cast<size_t>(rank));
  H5Sget_simple_extent_dims(space, shape.data(), nullptr);
  return shape;
}

// Space at once, in one piece, without a pass that fills it, and without the time.
Id dataset_plan() {
  Id plan(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_layout(plan, H5D_CONTIGUOUS);
  H5Pset_alloc_time(plan, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
  H5Pset_obj_track_times(plan, false);
  return plan;
}

// How a group (H5P_GROUP_CREATE) or the file with its root group (H5P_FILE_CREATE) is made: without the time, so that the same
// content gives the same bytes.
Id timeless_plan(hid_t kind) {
  Id plan(H5Pcreate(kind), H5Pclose);
  H5Pset_obj_track_times(plan, false);
  return plan;
}

constexpr hsize_t kLargestText = 256 << 20;

}  // namespace

struct Hdf5Rows::State {
  std::string path;
  hid_t file = -1;
  int fd = -1;  // for reading rows without the library
  int64_t file_bytes = 0;

  ~State() {
    const Library library;
    if (file >= 0) H5Fclose(file);
    if (fd >= 0) ::close(fd);
  }
  [[noreturn]] void bad(const std::string& name, const std::string& what) const {
    throw Error(ErrorCode::kBadData, cat("\"", path, "\": \"", name, "\" ", what));
  }
  void check_written(bool ok, const std::string& name) const {
    if (!ok) throw Error(ErrorCode::kIo, cat("cannot write \"", name, "\" to \"", path, "\"", hdf5_reason()));
  }
  Id dataset(const std::string& name) const {
    Id id(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
    if (!id.ok()) bad(name, cat("is missing or damaged", hdf5_reason()));
    return id;
  }
  Id attribute(const std::string& key) const {
    Id id(H5Aopen(file, key.c_str(), H5P_DEFAULT), H5Aclose);
    if (!id.ok()) bad(key, "is missing: no such attribute");
    return id;
  }
  /// {-1, bytes} for a layout that has no single range.
  Hdf5File::ByteRange byte_range(hid_t id, const std::string& name) const {
    const Id plan(H5Dget_create_plist(id), H5Pclose);
    const auto bytes = static_cast<int64_t>(H5Dget_storage_size(id));
    if (H5Pget_layout(plan) != H5D_CONTIGUOUS) return {-1, bytes};
    const haddr_t offset = H5Dget_offset(id);
    if (offset == HADDR_UNDEF) return {-1, bytes};
    const auto begin = static_cast<int64_t>(offset);
    if (begin < 0 || bytes < 0 || begin > file_bytes || bytes > file_bytes - begin) bad(name, "ends after the file");
    return {begin, bytes};
  }
  void measure() {
    struct stat stat {};
    if (fd < 0 || fstat(fd, &stat) != 0) throw Error(ErrorCode::kIo, cat("cannot read \"", path, "\""));
    file_bytes = stat.st_size;
  }
};

namespace {

// The file space of one row, and the memory space that fits it.
struct RowSpaces {
  Id file, memory;
};

RowSpaces row_spaces(hid_t dataset, int64_t row, const std::vector<int64_t>& row_shape) {
  std::vector<hsize_t> start(row_shape.size() + 1, 0), count{1};
  start[0] = static_cast<hsize_t>(row);
  for (const int64_t n : row_shape) count.push_back(static_cast<hsize_t>(n));
  RowSpaces spaces{Id(H5Dget_space(dataset), H5Sclose),
                   Id(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr), H5Sclose)};
  H5Sselect_hyperslab(spaces.file, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
  return spaces;
}

}  // namespace

void Hdf5Rows::read(int64_t row, void* out) const {
  IUQ_ASSERT(row >= 0 && row < count_);
  if (compressed()) {
    const Library library;
    const Id id = state_->dataset(name_);
    const RowSpaces spaces = row_spaces(id, row, row_shape_);
    const Id type(H5Dget_type(id), H5Tclose);
    if (H5Dread(id, type, spaces.memory, spaces.file, H5P_DEFAULT, out) < 0) {
      state_->bad(name_, cat("row ", row, " is damaged", hdf5_reason()));
    }
    return;
  }
  char* to = static_cast<char*>(out);
  for (size_t done = 0; done < row_bytes_;) {
    const off_t from = offset_ + row * static_cast<int64_t>(row_bytes_) + static_cast<int64_t>(done);
    const ssize_t got = pread(state_->fd, to + done, row_bytes_ - done, from);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(ErrorCode::kIo, cat("cannot read \"", state_->path, "\": ", std::strerror(errno)));
    if (got == 0) state_->bad(name_, cat("row ", row, " lies behind the end of the file: it is truncated"));
    done += static_cast<size_t>(got);
  }
}

void Hdf5Rows::write(int64_t row, const void* data) {
  const Library library;
  IUQ_ASSERT(row >= 0 && row < count_);
  const Id id = state_->dataset(name_);
  const RowSpaces spaces = row_spaces(id, row, row_shape_);
  const Id type(H5Dget_type(id), H5Tclose);
  state_->check_written(H5Dwrite(id, type, spaces.memory, spaces.file, H5P_DEFAULT, data) >= 0, name_);
}

Hdf5File Hdf5File::create(const std::string& path) {
  const Library library;
  auto state = std::make_shared<Hdf5Rows::State>();
  state->path = path;
  state->file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, timeless_plan(H5P_FILE_CREATE), file_access());
  if (state->file < 0) throw Error(ErrorCode::kCannotCreate, cat("cannot create \"", path, "\"", hdf5_reason()));
  return Hdf5File(std::move(state));
}

Hdf5File Hdf5File::open(const std::string& path) {
  const Library library;
  auto state = std::make_shared<Hdf5Rows::State>();
  state->path = path;
  state->fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (state->fd < 0) throw Error(ErrorCode::kNoInput, cat("cannot open \"", path, "\": ", std::strerror(errno)));
  state->measure();
  constexpr std::array<char, 8> kSignature = {'\x89', 'H', 'D', 'F', '\r', '\n', '\x1a', '\n'};
  std::array<char, 8> head{};
  if (pread(state->fd, head.data(), head.size(), 0) != 8 || head != kSignature) {
    throw Error(ErrorCode::kBadData, cat("\"", path, "\" is no HDF5 file"));
  }
  state->file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, file_access());
  if (state->file < 0) {
    throw Error(ErrorCode::kBadData, cat("\"", path, "\" is a truncated or damaged HDF5 file", hdf5_reason()));
  }
  return Hdf5File(std::move(state));
}

void Hdf5File::close() {
  const Library library;
  const hid_t file = std::exchange(state_->file, -1);
  const bool flushed = H5Fflush(file, H5F_SCOPE_GLOBAL) >= 0;
  const std::string why = flushed ? "" : hdf5_reason();
  if (H5Fclose(file) < 0 || !flushed) {
    throw Error(ErrorCode::kIo, cat("cannot write \"", state_->path, "\"", why));
  }
}

const std::string& Hdf5File::path() const { return state_->path; }

void Hdf5File::make_group(const std::string& name) {
  const Library library;
  const Id id(H5Gcreate2(state_->file, name.c_str(), H5P_DEFAULT, timeless_plan(H5P_GROUP_CREATE), H5P_DEFAULT), H5Gclose);
  state_->check_written(id.ok(), name);
}

void Hdf5File::set_attribute(const std::string& key, const std::string& text) {
  const Library library;
  IUQ_ASSERT(text.size() < 60000);  // what an object header takes
  const Id type = text_type(text.size());
  const Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const Id id(H5Acreate2(state_->file, key.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  state_->check_written(id.ok() && H5Awrite(id, type, text.c_str()) >= 0, key);
}

void Hdf5File::set_attribute(const std::string& key, int64_t value) {
  const Library library;
  const Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const Id id(H5Acreate2(state_->file, key.c_str(), H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  state_->check_written(id.ok() && H5Awrite(id, H5T_NATIVE_INT64, &value) >= 0, key);
}

bool Hdf5File::has_attribute(const std::string& key) const {
  const Library library;
  return H5Aexists(state_->file, key.c_str()) > 0;
}

std::string Hdf5File::text_attribute(const std::string& key) const {
  const Library library;
  const Id id = state_->attribute(key);
  const Id type(H5Aget_type(id), H5Tclose);
  const size_t bytes = type.ok() ? H5Tget_size(type) : 0;
  const bool fixed = type.ok() && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
  if (!fixed || bytes > 65536 || H5Aget_storage_size(id) != bytes) state_->bad(key, "is no fixed-length text");
  std::string text(bytes, '\0');
  if (H5Aread(id, type, text.data()) < 0) state_->bad(key, cat("cannot be read", hdf5_reason()));
  return text.substr(0, text.find('\0'));
}

int64_t Hdf5File::int_attribute(const std::string& key) const {
  const Library library;
  const Id id = state_->attribute(key);
  const Id type(H5Aget_type(id), H5Tclose);
  int64_t value = 0;
  const bool ok = type.ok() && H5Tequal(type, H5T_STD_I64LE) > 0 && H5Aget_storage_size(id) == sizeof value &&
                  H5Aread(id, H5T_NATIVE_INT64, &value) >= 0;
  if (!ok) state_->bad(key, "is no 64-bit integer");
  return value;
}

void Hdf5File::write_text(const std::string& name, const std::string& text) {
  const Library library;
  const Id type = text_type(text.size());
  const Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const Id plan = dataset_plan();
  const Id id(H5Dcreate2(state_->file, name.c_str(), type, space, H5P_DEFAULT, plan, H5P_DEFAULT), H5Dclose);
  state_->check_written(id.ok() && H5Dwrite(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.c_str()) >= 0, name);
}

std::string Hdf5File::read_text(const std::string& name) const {
  const Library library;
  const Id id = state_->dataset(name);
  const Id type(H5Dget_type(id), H5Tclose);
  const size_t bytes = type.ok() ? H5Tget_size(type) : 0;
  const bool fixed = type.ok() && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0;
  if (!fixed || bytes > kLargestText || !shape_of(id).empty()) state_->bad(name, "is no text");
  state_->byte_range(id, name);
  std::string text(bytes, '\0');
  if (H5Dread(id, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, text.data()) < 0) {
    state_->bad(name, cat("cannot be read", hdf5_reason()));
  }
  return text.substr(0, text.find('\0'));
}

template <class T>
void Hdf5File::write_table(const std::string& name, const std::vector<T>& values, int64_t columns) {
  const Library library;
  IUQ_ASSERT(columns >= 1 && values.size() % static_cast<size_t>(columns) == 0);
  const std::array<hsize_t, 2> shape = {values.size() / static_cast<size_t>(columns), static_cast<hsize_t>(columns)};
  const Id space(H5Screate_simple(columns == 1 ? 1 : 2, shape.data(), nullptr), H5Sclose);
  const Id plan = dataset_plan();
  const Id id(H5Dcreate2(state_->file, name.c_str(), native_type<T>(), space, H5P_DEFAULT, plan, H5P_DEFAULT),
              H5Dclose);
  const bool ok = id.ok() && (values.empty() || H5Dwrite(id, native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                                         values.data()) >= 0);
  state_->check_written(ok, name);
}

template <class T>
std::vector<T> Hdf5File::read_table(const std::string& name, int64_t columns, int64_t rows) const {
  const Library library;
  const Id id = state_->dataset(name);
  const Id type(H5Dget_type(id), H5Tclose);
  const std::vector<hsize_t> shape = shape_of(id);
  const bool fits = shape.size() == (columns == 1 ? 1u : 2u) && (columns == 1 || shape[1] == hsize_t(columns)) &&
                    (rows < 0 || shape[0] == hsize_t(rows)) && type.ok() && H5Tequal(type, native_type<T>()) > 0;
  if (!fits) state_->bad(name, "has another type or shape than this format says");
  const hsize_t most = static_cast<hsize_t>(state_->file_bytes) / sizeof(T);
  if (shape[0] > most / hsize_t(columns)) state_->bad(name, "ends after the file");
  state_->byte_range(id, name);
  std::vector<T> values(shape[0] * hsize_t(columns));
  if (!values.empty() && H5Dread(id, native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    state_->bad(name, cat("cannot be read", hdf5_reason()));
  }
  return values;
}

template void Hdf5File::write_table(const std::string&, const std::vector<int64_t>&, int64_t);
template void Hdf5File::write_table(const std::string&, const std::vector<uint64_t>&, int64_t);
template void Hdf5File::write_table(const std::string&, const std::vector<float>&, int64_t);
template void Hdf5File::write_table(const std::string&, const std::vector<double>&, int64_t);
template std::vector<int64_t> Hdf5File::read_table(const std::string&, int64_t, int64_t) const;
template std::vector<uint64_t> Hdf5File::read_table(const std::string&, int64_t, int64_t) const;
template std::vector<float> Hdf5File::read_table(const std::string&, int64_t, int64_t) const;
template std::vector<double> Hdf5File::read_table(const std::string&, int64_t, int64_t) const;

Hdf5Rows Hdf5File::create_rows(const std::string& name, DType dtype, int64_t rows,
                               const std::vector<int64_t>& row_shape, int gzip) {
  const Library library;
  IUQ_ASSERT(dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16);
  std::vector<hsize_t> shape{static_cast<hsize_t>(rows)}, chunk{1};
  for (const int64_t n : row_shape) {
    shape.push_back(static_cast<hsize_t>(n));
    chunk.push_back(static_cast<hsize_t>(n));
  }
  const Id plan = dataset_plan();
  if (gzip > 0) {
    H5Pset_chunk(plan, static_cast<int>(chunk.size()), chunk.data());
    H5Pset_alloc_time(plan, H5D_ALLOC_TIME_INCR);
    H5Pset_shuffle(plan);
    H5Pset_deflate(plan, static_cast<unsigned>(gzip));
  }
  const Id type = stored_type(dtype);
  {
    const Id space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), H5Sclose);
    const Id id(H5Dcreate2(state_->file, name.c_str(), type, space, H5P_DEFAULT, plan, H5P_DEFAULT), H5Dclose);
    state_->check_written(id.ok(), name);
    if (dtype == DType::kBF16) {
      const std::string text = "bfloat16";
      const Id text_of = text_type(text.size());
      const Id scalar(H5Screate(H5S_SCALAR), H5Sclose);
      const Id note(H5Acreate2(id, "dtype", text_of, scalar, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
      state_->check_written(note.ok() && H5Awrite(note, text_of, text.c_str()) >= 0, name);
    }
  }
  Hdf5Rows out;
  out.state_ = state_;
  out.name_ = name;
  out.dtype_ = dtype;
  out.count_ = rows;
  out.row_shape_ = row_shape;
  byte_size(dtype, row_shape, out.row_bytes_);
  return out;
}

Hdf5Rows Hdf5File::rows(const std::string& name) const {
  const Library library;
  const Id id = state_->dataset(name);
  const Id type(H5Dget_type(id), H5Tclose);
  Hdf5Rows out;
  out.state_ = state_;
  out.name_ = name;
  bool known = false;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16}) {
    if (known || !type.ok() || H5Tequal(type, stored_type(dtype)) <= 0) continue;
    out.dtype_ = dtype;
    known = true;
  }
  const std::vector<hsize_t> shape = shape_of(id);
  if (!known || shape.size() < 2) state_->bad(name, "has another type or shape than rows of features");
  for (const hsize_t n : shape) {
    if (n > hsize_t(INT32_MAX)) state_->bad(name, "is larger than any feature map");
  }
  out.count_ = static_cast<int64_t>(shape[0]);
  out.row_shape_.assign(shape.begin() + 1, shape.end());
  const Hdf5File::ByteRange range = state_->byte_range(id, name);
  out.offset_ = range.offset;
  if (!byte_size(out.dtype_, out.row_shape_, out.row_bytes_) || out.row_bytes_ == 0) {
    state_->bad(name, "has rows of an impossible size");
  }
  if (range.offset >= 0 && static_cast<uint64_t>(range.bytes) / out.row_bytes_ != shape[0]) {
    state_->bad(name, "has fewer bytes than its shape says");
  }
  return out;
}

Hdf5File::ByteRange Hdf5File::byte_range(const std::string& name) const {
  const Library library;
  const Id id = state_->dataset(name);
  const ByteRange range = state_->byte_range(id, name);
  if (range.offset < 0 && range.bytes > 0) state_->bad(name, "is not stored in one piece");
  return range;
}

}  // namespace iuq::io
