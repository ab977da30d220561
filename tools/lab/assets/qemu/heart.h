/*
 * The memory that a test guest proves. Everything that beat k writes is a function of (seed, k), so the line
 * that a guest prints at beat k is the same in every run: a restored guest is right when its first line
 * equals the one that the original printed at that beat, and says OK.
 */
#ifndef FITDOC_HEART_H
#define FITDOC_HEART_H
#include <stdint.h>

#define HEART_PAGE_WORDS 512u

struct heart {
  volatile uint64_t *memory;
  uint32_t pages;     /* pages under proof */
  uint32_t words;     /* words of each page under proof, evenly spread: a power of two up to 512 */
  uint32_t per_beat;  /* pages that a beat writes */
  uint64_t seed;
  uint64_t beat;
  uint64_t sum; /* kept up to date with each write; compared with a sum over all memory at each beat */
};

static inline uint64_t heart_mix(uint64_t x) {
  x ^= x >> 31;
  x *= 0x7fb5d329728ea185ull;
  x ^= x >> 27;
  x *= 0x81dadef4bc2dd44dull;
  return x ^ (x >> 33);
}

static inline uint64_t heart_weight(uint32_t word) { return 2ull * word + 1; }

static inline void heart_write(struct heart *h, uint32_t word, uint64_t value) {
  h->sum += (value - h->memory[word]) * heart_weight(word);
  h->memory[word] = value;
}

static inline uint32_t heart_word(const struct heart *h, uint32_t page, uint32_t slot) {
  return page * HEART_PAGE_WORDS + slot * (HEART_PAGE_WORDS / h->words);
}

/* All pages but every seventh get contents; the seventh stays zero. */
static inline void heart_start(struct heart *h) {
  h->beat = 0;
  h->sum = 0;
  for (uint32_t page = 0; page < h->pages; page++) {
    uint64_t value = page % 7 == 0 ? 0 : heart_mix(h->seed + page);
    for (uint32_t slot = 0; slot < h->words; slot++) {
      uint32_t word = heart_word(h, page, slot);
      h->memory[word] = value;
      h->sum += value * heart_weight(word);
    }
  }
}

/* A beat changes a few words in most of its pages, fills one in 16, clears one in 32, rewrites one in 8 as it is. */
static inline void heart_beat(struct heart *h) {
  h->beat++;
  for (uint32_t i = 0; i < h->per_beat; i++) {
    uint64_t r = heart_mix(h->seed ^ (h->beat << 20) ^ i);
    uint32_t page = (uint32_t)(r >> 32) % h->pages;
    if (i % 32 == 31) {
      for (uint32_t slot = 0; slot < h->words; slot++) heart_write(h, heart_word(h, page, slot), 0);
    } else if (i % 16 == 15) {
      for (uint32_t slot = 0; slot < h->words; slot++) heart_write(h, heart_word(h, page, slot), r + slot);
    } else if (i % 8 == 7) {
      heart_write(h, heart_word(h, page, 0), h->memory[heart_word(h, page, 0)]);
    } else {
      for (uint32_t n = 0; n < 1 + (r & 3); n++)
        heart_write(h, heart_word(h, page, (uint32_t)(r >> (8 * n)) & (h->words - 1)), r + n);
    }
  }
}

static inline int heart_intact(const struct heart *h) {
  /* In halves, with a weight of 32 bits: where KVM emulates each instruction, this loop is most of a beat. */
  const uint32_t stride = HEART_PAGE_WORDS / h->words;
  const volatile uint64_t *word = h->memory;
  uint64_t sum = 0;
  uint32_t weight = 1, high = 0;
  for (uint32_t left = h->pages * h->words; left > 0; left--) {
    uint64_t value = *word;
    sum += (uint64_t)(uint32_t)value * weight;
    high += (uint32_t)(value >> 32) * weight;
    word += stride;
    weight += 2 * stride;
  }
  return sum + ((uint64_t)high << 32) == h->sum;
}

/* Writes "HB name beat sum OK|CORRUPT\n" into line (at least 64 bytes) and gives its length. */
static inline uint32_t heart_line(const struct heart *h, uint32_t name, char *line) {
  const char *digits = "0123456789abcdef";
  uint32_t n = 0;
  line[n++] = 'H';
  line[n++] = 'B';
  line[n++] = ' ';
  line[n++] = digits[name & 15];
  line[n++] = ' ';
  for (int shift = 28; shift >= 0; shift -= 4) line[n++] = digits[(h->beat >> shift) & 15];
  line[n++] = ' ';
  for (int shift = 60; shift >= 0; shift -= 4) line[n++] = digits[(h->sum >> shift) & 15];
  for (const char *word = heart_intact(h) ? " OK\n" : " CORRUPT\n"; *word; word++) line[n++] = *word;
  return n;
}
#endif
