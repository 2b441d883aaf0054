// How long an annotations file takes to be opened, for training and for an evaluation, on one thread and on more.
// usage: annotations_bench FILE train|eval [THREADS]     see annotations_workload
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "lib/base/error.h"
#include "lib/data/annotations.h"
#include "lib/eval/ground_truth.h"

namespace {

double seconds_of(const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); }

size_t open_file(const char* path, bool for_training, int threads) {
  if (for_training) return iuq::data::Dataset::load(path, threads).annotations().size();
  iuq::eval::EvalConfig config;
  config.threads = threads;
  return iuq::eval::load_ground_truth(path, config).annotations.size();
}

}  // namespace

int main(int argc, char** argv) {
  const bool for_training = argc > 2 && std::strcmp(argv[2], "train") == 0;
  if (argc < 3 || argc > 4 || (!for_training && std::strcmp(argv[2], "eval") != 0)) {
    std::fprintf(stderr, "usage: annotations_bench FILE train|eval [THREADS]\n");
    return 64;
  }
  const int threads = argc == 4 ? std::atoi(argv[3]) : 1;
  try {
    const auto began = std::chrono::steady_clock::now();
    const size_t count = open_file(argv[1], for_training, threads);
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - began;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("%zu annotations, %d thread(s): %.2f s, user %.2f s, system %.2f s, at most %ld MB\n", count, threads, wall.count(),
                seconds_of(usage.ru_utime), seconds_of(usage.ru_stime), usage.ru_maxrss / 1024);
  } catch (const iuq::Error& e) {
    std::fprintf(stderr, "annotations_bench: error: %s\n", e.what());
    return static_cast<int>(e.code());
  }
  return 0;
}
