/*
 * Test machines only, preloaded into QEMU under software emulation: lets COLO run there.
 *
 * While COLO saves the devices, TCG's dirty-log hook waits for work on the vCPU threads with a condition
 * variable and QEMU's big lock, which that thread does not hold. A wait gives the lock back "re-acquired", so
 * the thread then deadlocks on itself. Here such a wait becomes a moment's sleep; the caller re-checks its
 * predicate anyway. It is without the lock, which a vCPU thread may hold until the waiting thread goes on (seen
 * on QEMU 10.0). Waits by the owner of the mutex go through untouched. KVM never installs that hook, and no QEMU
 * in production needs this.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

typedef int wait_function(pthread_cond_t *, pthread_mutex_t *);

static long thread_id(void) {
  static __thread long cached;
  if (!cached) cached = syscall(SYS_gettid);
  return cached;
}

int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex) {
  static wait_function *original;
  if (!original) original = (wait_function *)dlvsym(RTLD_NEXT, "pthread_cond_wait", "GLIBC_2.3.2");
  if (mutex->__data.__owner == thread_id()) return original(condition, mutex);
  const struct timespec moment = {0, 400 * 1000};
  nanosleep(&moment, 0);
  return 0;
}
