/*
 * /init of the test guest: a program that proves its own memory.
 *
 * Every page of its field holds words that follow from the page's number and its generation alone. Each step
 * rewrites one page; the generations stand in a second array. A sweep checks every word of every page, so a
 * lost, stale or torn page is found by the guest itself, on the original and on every restored copy.
 *
 * Kernel command line: pages=N (field size), step=MICROSECONDS, idle=1 (no steps).
 * Output lines: GUEST-READY, GUEST-OK steps=... sweeps=..., GUEST-BAD page=....
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WORDS 512

static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

static uint64_t expected(uint64_t page, uint64_t generation, unsigned word)
{
    return mix(page * 0x10001 + generation * 0x100000001ull + word);
}

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static long option(const char *line, const char *name, long otherwise)
{
    const char *at = strstr(line, name);
    return at ? atol(at + strlen(name)) : otherwise;
}

/* A quarter of the words change with the generation; the rest stay, as in most real programs. */
static uint64_t generation_of(uint64_t generation, unsigned word)
{
    return word % 4 == 0 ? generation : 0;
}

static void fill(volatile uint64_t *page, uint64_t number, uint64_t generation, int all)
{
    for (unsigned w = 0; w < WORDS; w++)
        if (all || w % 4 == 0)
            page[w] = expected(number, generation_of(generation, w), w);
}

static void sweep(volatile uint64_t *field, const uint64_t *generations, long pages)
{
    for (long p = 0; p < pages; p++)
        for (unsigned w = 0; w < WORDS; w++)
            if (field[p * WORDS + w] != expected(p, generation_of(generations[p], w), w)) {
                printf("GUEST-BAD page=%ld word=%u generation=%llu\n", p, w, (unsigned long long)generations[p]);
                return;
            }
}

int main(void)
{
    mkdir("/proc", 0755);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
    int console = open("/dev/console", O_RDWR);
    if (console >= 0)
        for (int fd = 0; fd < 3; fd++)
            dup2(console, fd);
    setvbuf(stdout, 0, _IONBF, 0);

    char line[1024] = {0};
    int file = open("/proc/cmdline", O_RDONLY);
    if (file >= 0 && read(file, line, sizeof line - 1) < 0)
        line[0] = 0;
    long pages = option(line, "pages=", 256), step = option(line, "step=", 20000), idle = option(line, "idle=", 0);

    volatile uint64_t *field =
        mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    uint64_t *generations = calloc(pages, sizeof *generations);
    for (long p = 0; p < pages; p++)
        fill(field + p * WORDS, p, 0, 1);
    printf("GUEST-READY pages=%ld step=%ld\n", pages, step);

    double told = seconds(), before = told, gap = 0;
    unsigned long long steps = 0, sweeps = 0;
    for (;;) {
        double now = seconds();
        if (now - before > gap)
            gap = now - before;
        before = now;
        if (!idle) {
            long p = steps % pages;
            fill(field + p * WORDS, p, ++generations[p], 0);
            steps++;
        }
        if (now - told >= 1) {
            sweep(field, generations, pages);
            sweeps++;
            printf("GUEST-OK steps=%llu sweeps=%llu boot=%.2f gap=%.0f\n", steps, sweeps, now, gap * 1e3);
            told = seconds();
            gap = 0;
        }
        usleep(step);
    }
}
