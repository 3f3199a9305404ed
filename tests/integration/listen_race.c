/* SPDX-License-Identifier: Apache-2.0
 * listen_race: does an internet socket listen that nobody bound? Tried on it, and on a descriptor that is now a unix
 * socket, now this one. Exit status 1 if so.
 */
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define RACE_MS 500

static int by_name, unbound, swapped;

static void *swap(void *arg)
{
	for (;;) {
		dup2(by_name, swapped);
		dup2(unbound, swapped);
	}
	return arg;
}

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int listens(int fd)
{
	int yes = 0;
	socklen_t len = sizeof(yes);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes;
}

static int try_all(int family)
{
	const struct sockaddr any_name = {.sa_family = AF_UNIX};
	long end = now_ms() + RACE_MS;
	pthread_t thread;

	by_name = socket(AF_UNIX, SOCK_STREAM, 0);
	unbound = socket(family, SOCK_STREAM, 0);
	if (by_name < 0 || unbound < 0 || bind(by_name, &any_name, sizeof(sa_family_t)) < 0) {
		perror("socket");
		return 2;
	}
	listen(unbound, 1);
	if (listens(unbound))
		return 1;
	swapped = dup(by_name);
	if (pthread_create(&thread, NULL, swap, NULL))
		return 2;
	while (!listens(unbound) && now_ms() < end)
		listen(swapped, 1);
	if (listens(unbound))
		return 1;
	return listens(by_name) ? 0 : 2; /* what is not refused has to work */
}

int main(void)
{
	int r = try_all(AF_INET);

	return r ? r : try_all(AF_INET6);
}
