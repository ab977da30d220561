/*
 * The test guest's program for disks: what is in a file of a disk is a function of what this process has in memory.
 * Beat k writes blocks that only beat k can have written, past the page cache, and reads back those of the beats before
 * it: a disk of another moment than the memory's shows at the first beat. Arguments: file, name (a hex digit).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "heart.h"

enum { BLOCK = 4096, BLOCKS = 1024, WRITTEN = 12, READ_AT_RANDOM = 12, BEATS_LOOKED_BACK = 3 };

struct disk_heart {
  int file;
  uint64_t seed;
  uint64_t beat;
  uint32_t written[BLOCKS]; /* the beat that wrote each block; 0: none */
  uint64_t *block, *expected;
};

static void fail(const char *what) {
  /* A line that no reader takes for a beat: the guest saw an I/O error, or its disk is full. */
  printf("DISK ERROR %s: %s\n", what, strerror(errno));
  fflush(stdout);
  exit(1);
}

static void fill(const struct disk_heart *h, uint64_t *block, uint32_t number, uint64_t beat) {
  /* A quarter of each block is its own, so that rewriting one changes some of its words only. */
  for (uint32_t word = 0; word < BLOCK / 8; word++)
    block[word] = beat == 0 ? 0 : heart_mix(h->seed + number * 4096 + word + (word % 4 == 0 ? beat << 32 : 0));
}

static uint32_t written_by(const struct disk_heart *h, uint64_t beat, uint32_t nth) {
  return (uint32_t)(heart_mix(h->seed ^ (beat << 20) ^ nth) >> 32) % BLOCKS;
}

static void put(struct disk_heart *h, uint32_t number, uint64_t beat) {
  fill(h, h->block, number, beat);
  if (pwrite(h->file, h->block, BLOCK, (off_t)number * BLOCK) != BLOCK) fail("write");
  h->written[number] = (uint32_t)beat;
}

static int holds(struct disk_heart *h, uint32_t number) {
  if (pread(h->file, h->block, BLOCK, (off_t)number * BLOCK) != BLOCK) fail("read");
  fill(h, h->expected, number, h->written[number]);
  return memcmp(h->block, h->expected, BLOCK) == 0;
}

/* Every block is looked at, so that a beat misses no stale one among those that it happens to read. */
static int all_hold(struct disk_heart *h) {
  for (uint32_t number = 0; number < BLOCKS; number++)
    if (!holds(h, number)) return 0;
  return 1;
}

static int beat(struct disk_heart *h) {
  int intact = 1;
  h->beat++;
  for (uint32_t back = 1; back <= BEATS_LOOKED_BACK && back < h->beat; back++)
    for (uint32_t nth = 0; nth < WRITTEN; nth++) intact &= holds(h, written_by(h, h->beat - back, nth));
  for (uint32_t nth = 0; nth < READ_AT_RANDOM; nth++) intact &= holds(h, written_by(h, ~h->beat, nth));
  if (h->beat % 64 == 0) intact &= all_hold(h);
  for (uint32_t nth = 0; nth < WRITTEN; nth++) put(h, written_by(h, h->beat, nth), h->beat);
  if (fsync(h->file) != 0) fail("fsync");
  return intact;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  uint32_t name = (uint32_t)strtoul(argv[2], NULL, 16);
  struct disk_heart h = {.seed = 0xd15c0000ull + name};
  h.file = open(argv[1], O_RDWR | O_CREAT | O_DIRECT, 0644);
  if (h.file < 0) fail("open");
  h.block = aligned_alloc(BLOCK, BLOCK);
  h.expected = aligned_alloc(BLOCK, BLOCK);
  for (uint32_t number = 0; number < BLOCKS; number++) put(&h, number, 0);
  if (fsync(h.file) != 0) fail("fsync");
  for (;;) {
    int intact = beat(&h);
    printf("HB %x %08llx %016llx %s\n", name & 15, (unsigned long long)h.beat,
           (unsigned long long)heart_mix(h.seed + (h.beat << 16)), intact ? "OK" : "CORRUPT");
    fflush(stdout);
    struct timespec rest = {0, 60 * 1000000};
    nanosleep(&rest, NULL);
  }
}
