// Runs a fuzz target where libFuzzer is not there: seeds, mutated without end. What is tried depends on --seed alone.
//
//   fuzz_x [--seconds 15] [--seed 1]   mutate for so long
//   fuzz_x FILE...                     try these files and nothing else
//
// An input that ends in a crash, or takes longer than 20 s, is left in the working folder as crash-NAME-SEED-N.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "lib/base/rng.h"
#include "tests/fuzz/fuzz.h"

// Every finding must end the process by a signal, so that the input is kept.
extern "C" const char* __asan_default_options() { return "abort_on_error=1:allocator_may_return_null=0"; }
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:abort_on_error=1:print_stacktrace=1"; }

namespace {

constexpr size_t kMaxSize = 20000;
constexpr unsigned kMaxSeconds = 20;

std::string input;                // being tried
char crash_path[512] = "crash";   // where it goes if that ends badly

void keep_input(int signal) {
  const int file = open(crash_path, O_CREAT | O_WRONLY | O_TRUNC, 0644);
  if (file >= 0 && write(file, input.data(), input.size()) >= 0) {
    const char text[] = "\nthe input is kept in ";
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    (void)!write(STDERR_FILENO, crash_path, std::strlen(crash_path));
    (void)!write(STDERR_FILENO, "\n", 1);
  }
  std::signal(signal, SIG_DFL);
  raise(signal);
}

void try_input() {
  alarm(kMaxSeconds);
  // A copy of its own size, so that a sanitizer sees a read beyond the end.
  const std::vector<uint8_t> bytes(input.begin(), input.end());
  LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  alarm(0);
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : rng_(seed, "fuzz"), seeds_(iuq::fuzz::seeds()), tokens_(iuq::fuzz::tokens()) {}

  /// The next input, from a seed or from the last one.
  void advance(std::string& text) {
    if (rng_.below(4) != 0 || text.empty()) text = pick(seeds_);
    for (int64_t n = rng_.below(6); n > 0; --n) mutate(text);
    if (text.size() > kMaxSize) text.resize(kMaxSize);
  }

 private:
  size_t place(const std::string& text) { return static_cast<size_t>(rng_.below(static_cast<int64_t>(text.size()) + 1)); }
  const std::string& pick(const std::vector<std::string>& list) {
    return list[static_cast<size_t>(rng_.below(static_cast<int64_t>(list.size())))];
  }
  std::string part_of(const std::string& text) {
    const size_t at = place(text);
    return text.substr(at, static_cast<size_t>(rng_.below(rng_.below(2) ? 12 : 300)));
  }

  std::string tail_of(const std::string& text) { return text.substr(place(text)); }

  void mutate(std::string& text) {
    const size_t at = place(text);
    switch (rng_.below(9)) {
      case 0: if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << rng_.below(8))); break;
      case 1: if (at < text.size()) text[at] = static_cast<char>(rng_.below(256)); break;
      case 2: text.insert(at, pick(tokens_)); break;
      case 3: text.replace(at, static_cast<size_t>(rng_.below(8)), pick(tokens_)); break;
      case 4: text.erase(at, static_cast<size_t>(1 + rng_.below(rng_.below(2) ? 4 : 100))); break;
      case 5: text.insert(at, part_of(text)); break;         // repeats a part
      case 6: text.insert(at, part_of(pick(seeds_))); break;  // a part of another
      case 7: text = text.substr(0, at) + tail_of(pick(seeds_)); break;  // two halves
      default: if (rng_.below(4) == 0) text.resize(at); break;
    }
  }

  iuq::Rng rng_;
  std::vector<std::string> seeds_, tokens_;
};

int run_files(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::ifstream file(argv[i], std::ios::binary);
    if (!file) {
      std::fprintf(stderr, "cannot open \"%s\"\n", argv[i]);
      return 66;
    }
    input.assign(std::istreambuf_iterator<char>(file), {});
    try_input();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 15;
  uint64_t seed = 1;
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seconds") == 0) seconds = std::atof(argv[i + 1]);
    if (std::strcmp(argv[i], "--seed") == 0) seed = std::strtoull(argv[i + 1], nullptr, 10);
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM}) {
    struct sigaction old {};
    sigaction(signal, nullptr, &old);
    if (old.sa_handler == SIG_DFL) std::signal(signal, keep_input);  // a sanitizer's own handler aborts in the end
  }
  if (argc > 1 && argv[1][0] != '-') return run_files(argc, argv);
  const auto began = std::chrono::steady_clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count(); };
  Mutator mutator(seed);
  long long count = 0;
  for (; passed() < seconds; ++count) {
    std::snprintf(crash_path, sizeof crash_path, "crash-%s-%llu-%lld", name.c_str(), static_cast<unsigned long long>(seed), count);
    mutator.advance(input);
    try_input();
  }
  std::printf("%s: %lld inputs in %.0f s, all properties hold\n", name.c_str(), count, passed());
  return 0;
}
