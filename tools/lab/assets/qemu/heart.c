/* The test guest's program under Linux: one process a worker, each with its own memory and seed. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "heart.h"

static unsigned long setting(const char *commandline, const char *name, unsigned long fallback) {
  const char *at = strstr(commandline, name);
  return at ? strtoul(at + strlen(name), NULL, 10) : fallback;
}

static void work(uint32_t name, unsigned long mib, unsigned long per_beat, unsigned long interval_ms) {
  struct heart heart = {.pages = mib * 256, .words = HEART_PAGE_WORDS, .per_beat = per_beat, .seed = 0x5eed0000ull + name};
  heart.memory = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (heart.memory == MAP_FAILED) {
    perror("heart: mmap");
    exit(1);
  }
  heart_start(&heart);
  for (;;) {
    char line[64];
    heart_beat(&heart);
    uint32_t length = heart_line(&heart, name, line);
    if (write(STDOUT_FILENO, line, length) != (ssize_t)length) exit(1);
    struct timespec rest = {interval_ms / 1000, interval_ms % 1000 * 1000000};
    nanosleep(&rest, NULL);
  }
}

int main(void) {
  char commandline[4096] = "";
  int fd = open("/proc/cmdline", O_RDONLY);
  if (fd < 0 || read(fd, commandline, sizeof commandline - 1) < 0) perror("heart: /proc/cmdline");
  unsigned long workers = setting(commandline, "heart.workers=", 1);
  for (unsigned long name = 0; name < workers; name++)
    if (fork() == 0)
      work(name, setting(commandline, "heart.mib=", 16), setting(commandline, "heart.pages=", 200),
           setting(commandline, "heart.ms=", 100));
  while (wait(NULL) > 0) {
  }
  puts("heart: no worker left");
  return 1;
}
