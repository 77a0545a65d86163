// Preloaded into a process under test: while the file NIGHTJAR_FULL_FILE exists, its disk is full. What
// is written to files gets ENOSPC; sockets, pipes and terminals work as ever.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int full(int fd) {
  const char* path = getenv("NIGHTJAR_FULL_FILE");
  struct stat about;
  if (path == NULL || access(path, F_OK) != 0) return 0;
  if (fd <= STDERR_FILENO || fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) return 0;
  errno = ENOSPC;
  return 1;
}

ssize_t write(int fd, const void* data, size_t size) {
  return full(fd) ? -1 : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  return full(fd) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  return full(fd) ? -1 : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  return full(fd) ? -1 : syscall(SYS_writev, fd, parts, count);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  return full(fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, size);
}

int fallocate64(int fd, int mode, off64_t at, off64_t size) {
  return full(fd) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, size);
}

int statvfs(const char* restrict path, struct statvfs* restrict about) {
  static int (*real)(const char*, struct statvfs*);
  if (real == NULL) real = (int (*)(const char*, struct statvfs*))dlsym(RTLD_NEXT, "statvfs");
  const int result = real(path, about);
  const char* flag = getenv("NIGHTJAR_FULL_FILE");
  if (result == 0 && flag != NULL && access(flag, F_OK) == 0) about->f_bavail = about->f_bfree = 0;
  return result;
}
