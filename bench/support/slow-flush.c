// Lets each flush of a file take longer: a disk that keeps what it says it kept takes about a millisecond,
// where a virtual machine's may answer from its host's memory. Loaded into PostgreSQL before its libraries.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

int fdatasync(int file) {
  static int (*flush)(int);
  if (!flush) flush = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  int found = flush(file);
  const char *given = getenv("SLOW_FLUSH_US");
  struct timespec left = {0, (given ? atol(given) : 0) * 1000L};
  nanosleep(&left, NULL);
  return found;
}
