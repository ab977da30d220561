/*
 * /init of the test guest: a program that proves its own memory.
 *
 * Every page of its field holds words that follow from the page's number and its generation alone. Each step
 * rewrites one page; the generations stand in a second array. A sweep checks every word of every page, so a
 * lost, stale or torn page is found by the guest itself, on the original and on every restored copy.
 *
 * With disk=N it proves N further pages that it never writes itself: each step an emulated disk reads one of the
 * disk's N blocks into one of them by DMA, and the sweep knows which block must stand where.
 *
 * With screen=N it has a second field of N pages, in the memory of an emulated screen.
 *
 * Kernel command line: pages=N (field size), step=MICROSECONDS, idle=1 (no steps), disk=N, screen=N.
 * Output lines: GUEST-READY, GUEST-OK steps=... sweeps=..., GUEST-BAD page=....
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WORDS 512
/* Where the proven part of a screen's memory begins: behind what its text modes use. */
#define SCREEN_START (1 << 20)

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

struct field {
    volatile uint64_t *words;
    long pages;
    uint64_t *generations;
};

/* A field in memory that is there already. */
static struct field proven(void *memory, long pages)
{
    struct field field = {memory, pages, calloc(pages, sizeof(uint64_t))};
    for (long p = 0; p < pages; p++)
        fill(field.words + p * WORDS, p, 0, 1);
    return field;
}

static void rewrite(struct field *field, long page)
{
    fill(field->words + page * WORDS, page, ++field->generations[page], 0);
}

static void sweep(const struct field *field, const char *what)
{
    for (long p = 0; p < field->pages; p++)
        for (unsigned w = 0; w < WORDS; w++) {
            uint64_t generation = field->generations[p];
            if (field->words[p * WORDS + w] != expected(p, generation_of(generation, w), w)) {
                printf("GUEST-BAD %s page=%ld word=%u generation=%llu\n", what, p, w, (unsigned long long)generation);
                return;
            }
        }
}

static void *memory_of(long pages)
{
    return mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
}

/* A part of the linear memory of the first display controller, or 0. */
static void *screen_of(long pages)
{
    DIR *folder = opendir("/sys/bus/pci/devices");
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[320], class[16] = {0};
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/class", entry->d_name);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0)
            continue;
        int told = read(file, class, sizeof class - 1) > 0;
        close(file);
        if (!told || strncmp(class, "0x0300", 6) != 0)
            continue;
        snprintf(path, sizeof path, "/sys/bus/pci/devices/%s/resource0", entry->d_name);
        file = open(path, O_RDWR | O_CLOEXEC);
        void *memory = mmap(0, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, SCREEN_START);
        if (memory != MAP_FAILED)
            return memory;
    }
    printf("GUEST-BAD no screen, errno=%d\n", errno);
    return 0;
}

/* There is no modprobe: insert until every dependency is met. */
static void load_modules(void)
{
    for (int pass = 0; pass < 5; pass++) {
        DIR *folder = opendir("/modules");
        if (!folder)
            return;
        for (struct dirent *entry; (entry = readdir(folder));) {
            char path[300];
            snprintf(path, sizeof path, "/modules/%s", entry->d_name);
            int file = open(path, O_RDONLY | O_CLOEXEC);
            if (file < 0)
                continue;
            syscall(SYS_finit_module, file, "", 0);
            close(file);
        }
        closedir(folder);
    }
}

/* The disk, past the guest's page cache: what is read comes by DMA. */
static int open_disk(void)
{
    for (int look = 0; look < 300; look++) {
        int disk = open("/dev/sda", O_RDONLY | O_DIRECT);
        if (disk >= 0)
            return disk;
        usleep(100000);
    }
    printf("GUEST-BAD no disk, errno=%d\n", errno);
    return -1;
}

struct reads {
    int disk;
    long pages;
    char *field;
    uint64_t *blocks; /* which block was read into each page */
};

static void read_block(struct reads *reads, long page, uint64_t block)
{
    reads->blocks[page] = block;
    if (pread(reads->disk, reads->field + page * 4096, 4096, block * 4096) != 4096)
        printf("GUEST-BAD read of block %llu, errno=%d\n", (unsigned long long)block, errno);
}

/* Every word of a block holds the block's number in its upper half, and its own in the lower. */
static void sweep_reads(const struct reads *reads)
{
    for (long p = 0; p < reads->pages; p++) {
        const volatile uint64_t *page = (const volatile uint64_t *)(reads->field + p * 4096);
        for (unsigned w = 0; w < WORDS; w++)
            if (page[w] != (reads->blocks[p] << 32 | w)) {
                printf("GUEST-BAD read page=%ld word=%u block=%llu\n", p, w, (unsigned long long)reads->blocks[p]);
                return;
            }
    }
}

int main(void)
{
    mkdir("/proc", 0755);
    mkdir("/dev", 0755);
    mkdir("/sys", 0755);
    mount("proc", "/proc", "proc", 0, 0);
    mount("sysfs", "/sys", "sysfs", 0, 0);
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

    struct field field = proven(memory_of(pages), pages), screen = {0};
    long visible = option(line, "screen=", 0);
    void *shown = visible > 0 ? screen_of(visible) : 0;
    if (shown)
        screen = proven(shown, visible);
    struct reads reads = {.pages = option(line, "disk=", 0)};
    if (reads.pages > 0) {
        load_modules();
        reads.disk = open_disk();
        reads.field = memory_of(reads.pages);
        reads.blocks = calloc(reads.pages, sizeof *reads.blocks);
        for (long p = 0; p < reads.pages; p++)
            read_block(&reads, p, p);
    }
    printf("GUEST-READY pages=%ld step=%ld\n", pages, step);

    double told = seconds(), before = told, gap = 0;
    unsigned long long steps = 0, sweeps = 0;
    for (;;) {
        double now = seconds();
        if (now - before > gap)
            gap = now - before;
        before = now;
        if (!idle) {
            rewrite(&field, steps % pages);
            if (screen.pages > 0)
                rewrite(&screen, steps % screen.pages);
            steps++;
            if (reads.pages > 0) {
                long page = steps % reads.pages;
                read_block(&reads, page, (reads.blocks[page] + 1) % reads.pages);
            }
        }
        if (now - told >= 1) {
            sweep(&field, "field");
            sweep(&screen, "screen");
            sweep_reads(&reads);
            sweeps++;
            printf("GUEST-OK steps=%llu sweeps=%llu boot=%.2f gap=%.0f\n", steps, sweeps, now, gap * 1e3);
            told = seconds();
            gap = 0;
        }
        usleep(step);
    }
}
