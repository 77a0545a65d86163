// Preloaded into a process under test: it stops itself before it writes to a socket for the
// NIGHTJAR_STOP_AT-th time, so that a test may kill it in a place that no machine's speed changes.
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long written;

ssize_t write(int fd, const void* data, size_t size) {
  const char* at = getenv("NIGHTJAR_STOP_AT");
  struct stat about;
  if (at != NULL && fstat(fd, &about) == 0 && S_ISSOCK(about.st_mode) && ++written == atol(at)) {
    kill(getpid(), SIGSTOP);
  }
  return syscall(SYS_write, fd, data, size);
}
