#include "nsrelay/telemetry/process_metrics.hpp"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <fstream>
#include <limits>
#include <memory>
#include <string>

namespace nsrelay {
namespace {

double now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// Since Linux 6.2 the size of /proc/self/fd is the number of descriptors; counting tens of
/// thousands of entries would hold up traffic.
std::uint64_t open_descriptors() {
  struct stat info {};
  if (::stat("/proc/self/fd", &info) == 0 && info.st_size > 0)
    return static_cast<std::uint64_t>(info.st_size);
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), &::closedir);
  if (!folder)
    return 0;
  std::uint64_t count = 0;
  while (const dirent* entry = ::readdir(folder.get()))
    count += entry->d_name[0] == '.' ? 0 : 1;
  return count - 1;  // the folder's own
}

/// In seconds since the epoch: field 22 of /proc/self/stat counts ticks since boot.
double start_time() {
  std::ifstream file("/proc/self/stat");
  file.ignore(std::numeric_limits<std::streamsize>::max(), ')');  // the name may have spaces
  std::string skipped;
  for (int field = 3; field < 22; ++field)
    file >> skipped;
  double ticks = 0;
  if (!(file >> ticks))
    return 0;
  const double since_boot = ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  return now(CLOCK_REALTIME) - now(CLOCK_BOOTTIME) + since_boot;
}

}  // namespace

ProcessMetrics read_process_metrics() {
  static const double started = start_time();  // once: the clock may be set meanwhile
  ProcessMetrics metrics;
  metrics.open_descriptors = open_descriptors();  // before one more is opened here
  metrics.cpu_seconds = now(CLOCK_PROCESS_CPUTIME_ID);
  const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::ifstream statm("/proc/self/statm");
  if (statm >> metrics.virtual_bytes >> metrics.resident_bytes) {
    metrics.virtual_bytes *= page;
    metrics.resident_bytes *= page;
  }
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  metrics.most_descriptors = limit.rlim_cur;
  metrics.start_time = started;
  return metrics;
}

}  // namespace nsrelay
