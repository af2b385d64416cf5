#include "agent/kernel/mapped_array.h"

#include <sys/mman.h>

namespace holdfast::agent::kernel {

Result<MappedArray> MappedArray::make(int map_fd, std::size_t bytes) {
  void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (data == MAP_FAILED) {
    return fail_errno("map a BPF array", errno);
  }
  return MappedArray(data, bytes);
}

MappedArray::~MappedArray() {
  if (data_ != nullptr) {
    ::munmap(data_, bytes_);
  }
}

}  // namespace holdfast::agent::kernel
