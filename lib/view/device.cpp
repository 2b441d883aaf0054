#include "lib/view/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <torch/cuda.h>
#include <torch/version.h>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <charconv>
#include <opencv2/core.hpp>

#include "lib/base/error.h"
#include "lib/base/log.h"

namespace iuq::view {

c10::Device open_device(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const int64_t count = torch::cuda::is_available() ? static_cast<int64_t>(torch::cuda::device_count()) : 0;
  if (name == "auto") {
    log::info(count > 0 ? "device: cuda:0 (of auto)" : "device: cpu (of auto; no CUDA device)");
    return count > 0 ? c10::Device(c10::kCUDA, 0) : c10::Device(c10::kCPU);
  }
  int index = 0;
  if (name.rfind("cuda", 0) == 0) {
    const char* first = name.data() + 4;
    const char* last = name.data() + name.size();
    bool ok = first == last;
    if (!ok && *first == ':') {
      const auto [end, error] = std::from_chars(first + 1, last, index);
      ok = error == std::errc() && end == last && index >= 0 && first + 1 != last;
    }
    if (ok && index < count) return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
    if (ok) {
      throw Error(ErrorCode::kNoDevice, cat("--device ", name, ": this machine has ", count, " CUDA devices that LibTorch ",
                                            TORCH_VERSION, " can use; use --device cpu or auto"));
    }
  }
  throw Error(ErrorCode::kUsage, cat("--device \"", name, "\" is not cpu, cuda, cuda:N or auto"));
}

void set_threads(int threads) {
  at::set_num_threads(threads);
  cv::setNumThreads(threads);
  at::globalContext().setFlushDenormal(true);
#ifdef __GLIBC__
  // Maps of a few megabytes come and go at each layer; giving them back to the system each time costs page faults.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

}  // namespace iuq::view
