/*
 * A COLO secondary that only drains: it takes what QEMU sends at the speed of the socket and throws it away.
 * No receiver can let the guest stand for less. Commands come as letters on standard input:
 * r sends READY, c answers a checkpoint's questions in advance; the answer is the number of bytes drained so far.
 */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char buffer[4 << 20];

int main(int count, char **arguments) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (count != 2 || strlen(arguments[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, arguments[1]);
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 1)) return 1;
  puts("listening");
  fflush(stdout);
  int stream = accept(listener, NULL, NULL);
  unsigned long long drained = 0;
  for (;;) {
    struct pollfd ends[2] = {{.fd = 0, .events = POLLIN}, {.fd = stream, .events = POLLIN}};
    if (poll(ends, 2, -1) < 0) return 1;
    if (ends[1].revents) {
      ssize_t got = read(stream, buffer, sizeof buffer);
      if (got <= 0) return 0;
      drained += got;
    }
    if (ends[0].revents) {
      char command;
      if (read(0, &command, 1) != 1) return 0;
      unsigned char answers[] = {0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 6};
      unsigned char ready[] = {0, 0, 0, 0};
      if (command == 'r' && write(stream, ready, sizeof ready) < 0) return 1;
      if (command == 'c' && write(stream, answers, sizeof answers) < 0) return 1;
      printf("%llu\n", drained);
      fflush(stdout);
    }
  }
}
