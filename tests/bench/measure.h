#pragma once
// Seconds and peak memory of pieces of work, for the programs in this folder.

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <vector>

namespace iuq::bench {

template <class Work>
double seconds_of(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

/// A line of /proc/self/status in MB; 0 where there is no such file.
inline double status_megabytes(const std::string& key) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind(key + ":", 0) == 0) return std::stod(line.substr(key.size() + 1)) / 1024;
  }
  return 0;
}

/// Megabytes by which the process grows at most while `work` runs.
template <class Work>
double peak_megabytes(const Work& work) {
  std::ofstream("/proc/self/clear_refs") << "5";  // sets the peak back to the present size
  const double before = status_megabytes("VmRSS");
  work();
  return std::max(0.0, status_megabytes("VmHWM") - before);
}

}  // namespace iuq::bench
