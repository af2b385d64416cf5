// A BPF array map, written in place through a shared mapping.
#pragma once

#include <cstddef>
#include <utility>

#include "common/result.h"

namespace holdfast::agent::kernel {

class MappedArray {
 public:
  // `bytes`: number of entries times the size of one, which must be a multiple of 8. The map needs
  // BPF_F_MMAPABLE.
  static Result<MappedArray> make(int map_fd, std::size_t bytes);
  MappedArray(MappedArray&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}
  MappedArray& operator=(MappedArray&&) = delete;
  ~MappedArray();
  void* data() const { return data_; }

 private:
  MappedArray(void* data, std::size_t bytes) : data_(data), bytes_(bytes) {}
  void* data_;
  std::size_t bytes_;
};

}  // namespace holdfast::agent::kernel
