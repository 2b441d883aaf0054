#pragma once

#include <c10/core/Device.h>

#include <string>

namespace iuq::view {

/// "cpu", "cuda", "cuda:N" or "auto" (logs its choice). Error(kNoDevice) when it is not there, kUsage when malformed.
c10::Device open_device(const std::string& name);
/// Threads of LibTorch and OpenCV together; also flushes denormals (they cost factors on masked or padded windows).
void set_threads(int threads);

}  // namespace iuq::view
