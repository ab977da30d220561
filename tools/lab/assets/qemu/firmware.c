/*
 * A bare-metal guest that proves its own memory, for hosts where KVM can create a machine but not run a
 * stock kernel. Each CPU beats at its own region from 16 MiB up; the timer interrupt of the first wakes the
 * others through their local APICs, so that interrupt controllers, timer and CPUs must all come back.
 */
#include "heart.h"

#ifndef HEART_MIB
#define HEART_MIB 2
#endif
#ifndef HEART_PAGES
#define HEART_PAGES 48
#endif
#ifndef HEART_TICKS
#define HEART_TICKS 5 /* of 10 ms */
#endif
#ifndef HEART_WORDS
#define HEART_WORDS 4 /* few: where KVM emulates every instruction, a beat must stay short */
#endif
#define FIRST_HEART 0x1000000u
#define APIC(offset) (*(volatile uint32_t *)(0xfee00000u + (offset)))
#define BOOT_COUNT (*(volatile uint32_t *)0x7000)

extern char trampoline[], trampoline_end[], timer_entry[], wake_entry[], ignore_entry[];
volatile uint32_t cpu_ticket;
static volatile uint32_t ticks, serial_lock;
static struct heart hearts[16];
static uint64_t interrupts[256];

static inline void out8(uint16_t port, uint8_t value) { __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port)); }
static inline uint8_t in8(uint16_t port) {
  uint8_t value;
  __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

static void print(const char *text, uint32_t length) {
  while (__sync_lock_test_and_set(&serial_lock, 1)) __asm__ volatile("pause");
  for (uint32_t i = 0; i < length; i++) {
    while (!(in8(0x3fd) & 0x20)) {
    }
    out8(0x3f8, text[i]);
  }
  __sync_lock_release(&serial_lock);
}

static void gate(uint32_t vector, const char *handler) {
  uint32_t address = (uint32_t)handler;
  interrupts[vector] = (uint64_t)(address & 0xffff) | 8u << 16 | (uint64_t)0x8e00 << 32 | (uint64_t)(address >> 16) << 48;
}

static void load_interrupts(void) {
  struct __attribute__((packed)) {
    uint16_t limit;
    uint32_t base;
  } pointer = {sizeof interrupts - 1, (uint32_t)interrupts};
  __asm__ volatile("lidt %0" ::"m"(pointer));
}

static void start_timer(void) {
  const uint8_t controllers[][2] = {{0x20, 0x11}, {0xa0, 0x11}, {0x21, 0x20}, {0xa1, 0x28}, {0x21, 4},
                                    {0xa1, 2},    {0x21, 1},    {0xa1, 1},    {0x21, 0xfe}, {0xa1, 0xff}};
  for (uint32_t i = 0; i < sizeof controllers / 2; i++) out8(controllers[i][0], controllers[i][1]);
  out8(0x43, 0x34);
  out8(0x40, 11932 & 255); /* 100 Hz */
  out8(0x40, 11932 >> 8);
}

void timer_tick(void) {
  ticks++;
  out8(0x20, 0x20);
  if (cpu_ticket) {
    APIC(0x310) = 0;
    APIC(0x300) = 0xc4000 | 0x21;
  }
}

void woken(void) { APIC(0xb0) = 0; }

/*
 * Has the CPU forget its translations, as a kernel does with each switch of tasks; without paging nothing else would.
 * QEMU's software emulation from 9.0 on does not see a write to a page by a translation from before a look at the
 * dirty pages that found only such as were still to be sent (seen on 11.1: the stacks, in the second checkpoint).
 */
static void forget_translations(void) {
  uint32_t cr4;
  __asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
  __asm__ volatile("mov %0, %%cr4" ::"r"(cr4 ^ 0x10) : "memory"); /* PSE */
}

/* Lets one interrupt in; it returns with interrupts off. */
static void rest(void) {
  forget_translations();
  __asm__ volatile("sti; hlt" ::: "memory", "cc");
}

/* A fault that no handler can take, as the kernel of a guest that has gone wrong meets it: it resets the machine. */
static void triple_fault(void) {
  struct __attribute__((packed)) {
    uint16_t limit;
    uint32_t base;
  } nothing = {0, 0};
  __asm__ volatile("lidt %0; int3" ::"m"(nothing));
}

/* Does what a test writes to a register that nobody else uses (APM's status). */
static void obey(void) {
  if (in8(0xb3) != 0x77) return;
  out8(0xb3, 0);
  triple_fault();
}

static void beat_for_ever(uint32_t name) {
  struct heart *heart = &hearts[name];
  heart->memory = (volatile uint64_t *)(FIRST_HEART + name * (HEART_MIB << 20));
  heart->pages = HEART_MIB * 256;
  heart->words = HEART_WORDS;
  heart->per_beat = HEART_PAGES;
  heart->seed = 0x5eed0000ull + name;
  heart_start(heart);
  uint32_t next = ticks;
  for (;;) {
    char line[64];
    heart_beat(heart);
    if (name == 0) obey();
    print(line, heart_line(heart, name, line));
    for (next += HEART_TICKS; (int32_t)(next - ticks) > 0;) rest();
    if (ticks - next > 4 * HEART_TICKS) next = ticks;
  }
}

static void start_others(void) {
  for (char *from = trampoline, *to = (char *)0x8000; from < trampoline_end;) *to++ = *from++;
  APIC(0xf0) = 0x1ff;
  APIC(0x350) = 0x700; /* LINT0: the timer's controller */
  APIC(0x310) = 0;
  APIC(0x300) = 0xc4500;
  for (uint32_t until = ticks + 2; (int32_t)(until - ticks) > 0;) rest();
  APIC(0x310) = 0;
  APIC(0x300) = 0xc4600 | 8;
}

void first_cpu(void) {
  for (volatile char *at = (volatile char *)0x20000; at < (volatile char *)0x60000; at++) *at = 0;
  char line[] = "BOOT 0\n";
  line[5] += ++BOOT_COUNT % 10;
  print(line, sizeof line - 1);
  for (uint32_t vector = 0x20; vector < 256; vector++) gate(vector, ignore_entry);
  gate(0x20, timer_entry);
  gate(0x21, wake_entry);
  load_interrupts();
  start_timer();
  start_others();
  beat_for_ever(0);
}

void other_cpu(uint32_t name) {
  load_interrupts();
  APIC(0xf0) = 0x1ff;
  beat_for_ever(name);
}
