/* Stands between a node and its disk: delays fdatasync and fsync, or lets them fail, as a control file says. Loaded with LD_PRELOAD by e2e/processes/disk-shim.ts.
   The control file holds one word and a number: "slow 250" (milliseconds for each call) or "fail 5" (EIO); absent or anything else: the disk as it is. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int consult(void) {
  const char *path = getenv("SECURESQL_DISK_SHIM");
  char text[64] = {0};
  int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return 0;
  ssize_t length = read(file, text, sizeof text - 1);
  close(file);
  if (length <= 0) return 0;
  int number = 0;
  if (sscanf(text, "slow %d", &number) == 1) {
    struct timespec pause = {number / 1000, (number % 1000) * 1000000L};
    nanosleep(&pause, NULL);
    return 0;
  }
  return strncmp(text, "fail", 4) == 0;
}

int fdatasync(int file) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  if (consult()) {
    errno = EIO;
    return -1;
  }
  return real(file);
}

int fsync(int file) {
  static int (*real)(int);
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  if (consult()) {
    errno = EIO;
    return -1;
  }
  return real(file);
}
