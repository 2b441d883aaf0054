#pragma once
// Seconds and peak memory of pieces of work, for the programs in this folder.

#include <malloc.h>

#include <algorithm>
#include <chrono>
#include <ctime>
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
  malloc_trim(0);                                 // what an earlier piece of work left would be used again, uncounted
  std::ofstream("/proc/self/clear_refs") << "5";  // sets the peak back to the present size
  const double before = status_megabytes("VmRSS");
  work();
  return std::max(0.0, status_megabytes("VmHWM") - before);
}

struct Cost {
  double seconds = 0, processor = 0;  // by the clock, and of all processors
  double megabytes = 0;               // by which the process grows at most
};

/// The least seconds of `rounds` runs, after one to warm up whose megabytes count.
template <class Work>
Cost measure(const Work& work, int rounds) {
  Cost cost;
  cost.megabytes = peak_megabytes(work);
  for (int round = 0; round < rounds; ++round) {
    const std::clock_t began = std::clock();
    const double seconds = seconds_of(work);
    const double processor = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
    cost.seconds = round ? std::min(cost.seconds, seconds) : seconds;
    cost.processor = round ? std::min(cost.processor, processor) : processor;
  }
  return cost;
}

}  // namespace iuq::bench
