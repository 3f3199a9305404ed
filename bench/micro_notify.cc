/* SPDX-License-Identifier: Apache-2.0
 * One notification's way from the target to its answer and back, by how the supervisor waits for it. Each
 * does the same with it: process_vm_readv of the path, ID_VALID, CONTINUE. Time is the target's own, of one open,
 * from batches of a thousand. The way "bare" is a blocking RECV with SYNC_WAKE_UP.
 */
extern "C" {
#include "bench/bare_supervisor.h"
#include "core/notify/pool.h"
#include "core/sys.h"
#include "iouring/ring.h"
}

#include <benchmark/benchmark.h>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <deque>
#include <linux/filter.h>
#include <mutex>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <thread>

namespace {

const struct bare_call call_openat = {SYS_openat, 1};
constexpr uint64_t BATCH = 1000;

uint64_t now_ns()
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return uint64_t(t.tv_sec) * 1000000000u + uint64_t(t.tv_nsec);
}

/* The target: for each byte on stdin a batch of opens, and their time on stdout. */
int target_main()
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(0, &byte, 1) == 1) {
		uint64_t start = now_ns();

		for (uint64_t i = 0; i < BATCH; i++)
			close(open("/dev/null", O_RDONLY | O_CLOEXEC));
		start = now_ns() - start;
		if (write(1, &start, sizeof(start)) != sizeof(start))
			return 1;
	}
	return 0;
}

class Target {
public:
	int listener = -1;

	explicit Target(bool trapped)
	{
		char self[] = "/proc/self/exe", arg[] = "--target";
		char *argv[] = {self, arg, nullptr};
		int keep[2] = {dup(0), dup(1)};

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair_) < 0)
			abort();
		dup2(pair_[1], 0);
		dup2(pair_[1], 1);
		if (bare_start(&call_openat, trapped ? 1 : 0, argv, &pid_, &listener) < 0)
			abort();
		for (int i = 0; i < 2; i++) {
			dup2(keep[i], i);
			close(keep[i]);
		}
		close(pair_[1]);
	}

	~Target()
	{
		kill(pid_, SIGKILL);
		waitpid(pid_, nullptr, 0);
		close(pair_[0]);
	}

	void end() /* what serves the listener sees that it hung up */
	{
		kill(pid_, SIGKILL);
	}

	double batch_seconds()
	{
		uint64_t ns;

		if (write(pair_[0], "x", 1) != 1 || read(pair_[0], &ns, sizeof(ns)) != sizeof(ns))
			abort();
		return double(ns) * 1e-9;
	}

	void measure(benchmark::State &state)
	{
		batch_seconds(); /* its loader is done */
		for (auto _ : state)
			state.SetIterationTime(batch_seconds() / BATCH);
	}

private:
	int pair_[2];
	pid_t pid_;
};

void serve_one(int listener, const struct seccomp_notif *notif)
{
	char path[256];
	uint64_t address = notif->data.args[1];
	size_t left = 4096 - (address & 4095);
	struct iovec local = {path, left < sizeof(path) ? left : sizeof(path)};
	struct iovec remote = {reinterpret_cast<void *>(address), local.iov_len};
	struct seccomp_notif_resp resp = {};

	benchmark::DoNotOptimize(process_vm_readv(pid_t(notif->pid), &local, 1, &remote, 1, 0));
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &notif->id) < 0)
		return;
	resp.id = notif->id;
	resp.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &resp);
}

/* False: nobody is left. */
bool receive(int listener, struct seccomp_notif *ret)
{
	for (;;) {
		struct pollfd p = {listener, POLLIN, 0};

		*ret = {};
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, ret) == 0)
			return true;
		if (errno != EINTR && (errno != ENOENT || (poll(&p, 1, 0) > 0 && (p.revents & POLLHUP))))
			return false;
	}
}

bool readable_now(int listener)
{
	struct pollfd p = {listener, POLLIN, 0};

	return poll(&p, 1, 0) > 0 && (p.revents & POLLIN);
}

void native(benchmark::State &state)
{
	Target t(false);

	t.measure(state);
}

template <bool sync> void recv_only(benchmark::State &state)
{
	Target t(true);

	if (!sync)
		ioctl(t.listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 0);
	std::thread server([&] { bare_serve(t.listener, &call_openat, 1); });
	t.measure(state);
	t.end();
	server.join();
	close(t.listener);
}

/* Ready first, RECV then; each event is drained. */
template <enum ring_backend backend> void ready_then_recv(benchmark::State &state)
{
	Target t(true);
	std::thread server([&] {
		struct seccomp_notif notif;
		struct ring_event event = {};
		struct ring *ring;

		if (ring_new(backend, &ring) < 0)
			abort();
		ring_watch(ring, t.listener, POLLIN, 0, 0);
		while (!(event.events & POLLHUP)) {
			if (ring_wait(ring, &event, 1, -1) < 1)
				continue;
			while (readable_now(t.listener) && receive(t.listener, &notif))
				serve_one(t.listener, &notif);
		}
		ring_free(ring);
	});
	t.measure(state);
	t.end();
	server.join();
	close(t.listener);
}

/* One thread receives, another one answers. */
void hand_off(benchmark::State &state)
{
	Target t(true);
	std::mutex lock;
	std::condition_variable wake;
	std::deque<struct seccomp_notif> queue;
	bool done = false;
	std::thread receiver([&] {
		struct seccomp_notif notif;

		while (receive(t.listener, &notif)) {
			std::lock_guard<std::mutex> guard(lock);

			queue.push_back(notif);
			wake.notify_one();
		}
		std::lock_guard<std::mutex> guard(lock);
		done = true;
		wake.notify_one();
	});
	std::thread answerer([&] {
		std::unique_lock<std::mutex> guard(lock);

		while (!done) {
			if (queue.empty()) {
				wake.wait(guard);
				continue;
			}
			struct seccomp_notif notif = queue.front();

			queue.pop_front();
			guard.unlock();
			serve_one(t.listener, &notif);
			guard.lock();
		}
	});
	t.measure(state);
	t.end();
	receiver.join();
	answerer.join();
	close(t.listener);
}

void serve_hook(void *ctx, struct worker *, const struct seccomp_notif *notif)
{
	serve_one(*static_cast<int *>(ctx), notif);
}

template <bool uring> void pool(benchmark::State &state)
{
	Target t(true);
	struct features features = {};
	struct pool_config config = {};
	struct pool *p;

	features.sync_wake_up = features.io_uring = true;
	config.listener = t.listener;
	config.use_uring = uring;
	config.features = &features;
	config.serve = serve_hook;
	config.ctx = &t.listener;
	if (pool_start(&config, &p) < 0)
		abort();
	t.measure(state);
	t.end();
	pool_stop(p);
	pool_free(p);
	close(t.listener);
}

/* What a run pays for the pool itself. */
void start_and_stop(benchmark::State &state)
{
	Target t(true);
	struct features features = {};
	struct pool_config config = {};
	struct pool *p;

	features.sync_wake_up = features.io_uring = true;
	config.listener = t.listener;
	config.use_uring = state.range(0) != 0;
	config.features = &features;
	config.serve = serve_hook;
	config.ctx = &t.listener;
	for (auto _ : state) {
		if (pool_start(&config, &p) < 0)
			abort();
		pool_stop(p);
		pool_free(p);
	}
	close(t.listener);
}

BENCHMARK(start_and_stop)->Name("start and stop")->ArgName("uring")->Arg(0)->Arg(1)->UseRealTime()->Unit(benchmark::kMicrosecond);

#define MICRO(...) BENCHMARK(__VA_ARGS__)->UseManualTime()->Unit(benchmark::kMicrosecond)->Iterations(20)

MICRO(native)->Name("open/way:native");
MICRO(recv_only<true>)->Name("open/way:bare");
MICRO(recv_only<false>)->Name("open/way:recv-not-sync");
MICRO(ready_then_recv<RING_EPOLL>)->Name("open/way:epoll-then-recv");
MICRO(ready_then_recv<RING_URING>)->Name("open/way:uring-then-recv");
MICRO(hand_off)->Name("open/way:hand-off");
MICRO(pool<true>)->Name("open/way:pool-uring");
MICRO(pool<false>)->Name("open/way:pool-epoll");

} // namespace

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--target") == 0)
		return target_main();
	benchmark::Initialize(&argc, argv);
	benchmark::RunSpecifiedBenchmarks();
	return 0;
}
