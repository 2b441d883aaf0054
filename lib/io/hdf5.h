#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "lib/io/tensor_file.h"

namespace iuq::io {

/// Rows of equal shape: a dataset [rows, row_shape...] read one row at a time. Reads are safe from many threads, and
/// those of uncompressed rows do not wait for each other. Keeps its file open.
class Hdf5Rows {
 public:
  DType dtype() const { return dtype_; }
  int64_t count() const { return count_; }
  const std::vector<int64_t>& row_shape() const { return row_shape_; }
  size_t row_bytes() const { return row_bytes_; }
  bool compressed() const { return offset_ < 0; }

  /// `out` takes row_bytes(). Errors: kBadData when the file ends before the row or does not decompress, kIo.
  void read(int64_t row, void* out) const;
  /// Only while the file is being created. Error(kIo).
  void write(int64_t row, const void* data);

 private:
  friend class Hdf5File;
  struct State;
  std::shared_ptr<State> state_;
  std::string name_;
  DType dtype_ = DType::kF32;
  int64_t count_ = 0;
  std::vector<int64_t> row_shape_;
  size_t row_bytes_ = 0;
  int64_t offset_ = -1;  // of row 0 in the file; -1 when compressed
};

/// One HDF5 file, the only wall between this project and the HDF5 library. Objects are named by path ("buckets/64x96").
/// Files are written in the format of HDF5 1.8, so that everything reads them; readers take no file locks. All errors
/// are iuq::Error naming file and object: kNoInput, kBadData (no HDF5, truncated, object missing or of another type or
/// shape), kCannotCreate, kIo (full disk).
class Hdf5File {
 public:
  /// A new file; an existing one is emptied.
  static Hdf5File create(const std::string& path);
  static Hdf5File open(const std::string& path);  // for reading
  /// Writes everything out. Only a created file needs it: the destructor would swallow the error.
  void close();
  const std::string& path() const;

  void make_group(const std::string& name);

  /// Attributes of the root.
  void set_attribute(const std::string& key, const std::string& text);
  void set_attribute(const std::string& key, int64_t value);
  bool has_attribute(const std::string& key) const;
  std::string text_attribute(const std::string& key) const;
  int64_t int_attribute(const std::string& key) const;

  /// UTF-8 text of any length, as a scalar dataset.
  void write_text(const std::string& name, const std::string& text);
  std::string read_text(const std::string& name) const;

  /// A table [rows, columns], or [rows] when columns is 1. T is int64_t, uint64_t, float or double.
  template <class T>
  void write_table(const std::string& name, const std::vector<T>& values, int64_t columns);
  /// Error(kBadData) unless it is a table of T with these columns; `rows` -1 is any number.
  template <class T>
  std::vector<T> read_table(const std::string& name, int64_t columns, int64_t rows = -1) const;

  /// dtype kF32, kF16 (h5py: float16) or kBF16 (stored as uint16 with the attribute dtype = "bfloat16"). `gzip` 0 stores
  /// the rows one after the other in one piece, whose space exists from now on and reads as zeros; 1..9 makes each row
  /// a compressed chunk.
  Hdf5Rows create_rows(const std::string& name, DType dtype, int64_t rows, const std::vector<int64_t>& row_shape,
                       int gzip);
  Hdf5Rows rows(const std::string& name) const;

  /// Where the values of an uncompressed dataset lie in the file; an empty one lies nowhere.
  struct ByteRange {
    int64_t offset = 0;
    int64_t bytes = 0;
  };
  ByteRange byte_range(const std::string& name) const;

 private:
  explicit Hdf5File(std::shared_ptr<Hdf5Rows::State> state) : state_(std::move(state)) {}
  std::shared_ptr<Hdf5Rows::State> state_;
};

/// Overwrites values of a finished HDF5 file in place, without the HDF5 library: no structure of the file is ever
/// touched, so a process that dies at any moment leaves a file that opens. One patcher per file at a time.
class Hdf5Patcher {
 public:
  /// Errors: kNoInput; kCannotCreate when another process patches the file now.
  explicit Hdf5Patcher(const std::string& path);
  ~Hdf5Patcher();
  Hdf5Patcher(const Hdf5Patcher&) = delete;
  Hdf5Patcher& operator=(const Hdf5Patcher&) = delete;

  /// Asks the file system for all blocks of the file. Error(kIo) when they do not fit; file systems that cannot promise
  /// space are taken as they are.
  void reserve();
  /// `begin` is counted from the start of the range. Error(kIo).
  void write(const Hdf5File::ByteRange& range, int64_t begin, const void* data, size_t bytes);
  void sync();  // data is on the disk. Error(kIo)

 private:
  std::string path_;
  int fd_ = -1;
};

/// Replaces folders in `paths` by the shard-*.h5 files in them, sorted by name. Error(kNoInput) for a folder without any.
std::vector<std::string> expand_shard_folders(const std::vector<std::string>& paths);

}  // namespace iuq::io
